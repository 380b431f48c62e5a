"""The sync doors: `analyze_file` and `analyze_dataframe`; `semfn run` is a shell around the first.

io. It puts the parts of a run together: table, analyzer, ledger, local service.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import __version__
from analysis.arguments import AUTO
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import (
    AnalysisError,
    ConfigurationError,
    InputError,
    LedgerError,
    LocalProtocolError,
)
from analysis.interrupts import INTERRUPTED, drained, run_here
from analysis.pipeline import frames
from analysis.pipeline.dialect import cause
from analysis.pipeline.output import default_output
from analysis.pipeline.report import RunSummary, StopKind
from analysis.pipeline.run import Plan, RunPaths, TableRun
from analysis.pipeline.tables import Table, open_table
from analysis.recording import Recording
from analysis.records import Verdict
from analysis.run_options import RunOptions
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import SETTINGS, Settings
from analysis.telemetry import Sink

if TYPE_CHECKING:
    import pandas as pd

OUTAGE_CURE = (
    "Check the network and the base URL (OPENAI_BASE_URL), or wait until the service is back."
)
"""What to do about a service that is away; a service that says no names its own cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What a caller wants to hear of a run.

    Attributes:
        on_notes: Told once what was assumed about the input, line by line.
        on_plan: Told what is to be done before anything is sent; may raise ConfigurationError.
        on_verdict: Told each verdict of this run.
        on_event: Told what happens on the way.
        handles_signals: Stop cleanly on Ctrl-C and SIGTERM; only in the main thread.
    """

    on_notes: Callable[[Sequence[str]], None] | None = None
    on_plan: Callable[[Plan, RunPaths], None] | None = None
    on_verdict: Callable[[Verdict], None] | None = None
    on_event: Sink | None = None
    handles_signals: bool = False


def analyze_file(
    path_in: str | Path,
    path_out: str | Path | None = None,
    *,
    topic: str | None = None,
    hooks: Hooks | None = None,
    **options: Any,
) -> RunSummary:
    """Label every chunk of a CSV file and write the file with the labels beside them.

    The same call again continues where the last one stopped, and sends nothing when all is done.

    Args:
        path_in: CSV or TSV, also `.gz`, with the columns `id`, `text` and, if there, `document`
            and `topic`.
        path_out: By default `<input>.labeled.csv` beside the input.
        topic: For rows without a topic of their own.
        hooks: What the caller wants to hear of the run.
        **options: The fields of `RunOptions`.

    Returns:
        The summary; `exit_code` is that of the command. A run that the service stopped returns,
        too: what is paid for stands in `OUT.partial.csv`.

    Raises:
        ConfigurationError: If something must be put right first; nothing was sent.
        LedgerError: If ledger or output cannot be written.
    """
    hooks = hooks or Hooks()
    chosen = _options(options)
    source = Path(path_in)
    table = open_table(
        source,
        id_column=chosen.id_column,
        text_column=chosen.text_column,
        document_column=chosen.document_column,
        topic_column=chosen.topic_column,
        topic=topic,
        encoding=chosen.encoding,
        delimiter=chosen.delimiter,
        limit=chosen.limit,
    )
    if hooks.on_notes is not None:
        hooks.on_notes(table.notes)
    output = Path(path_out) if path_out is not None else default_output(source)
    return _run_table(table, output, chosen, hooks)


def analyze_dataframe(
    frame: pd.DataFrame,
    topic: str | None = None,
    *,
    hooks: Hooks | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Label every row of a DataFrame; return a new one with the verdict columns beside yours.

    Works inside a running event loop, too. Index, order and types of the given columns stay. The
    ledger of the run is kept in the state folder under a digest of the rows, so the same call
    again, also from another process, asks nothing twice.

    Args:
        frame: Columns `text` (str), and if there `id` (unique), `document` and `topic`; other names
            by `text_column` and so on. Without an id column the row number is the id.
        topic: For rows without a topic of their own.
        hooks: What the caller wants to hear of the run.
        **options: The fields of `RunOptions`, but for `encoding` and `delimiter`.

    Returns:
        A new frame; `attrs["semfn"]` holds the summary of the run. Rows that were not reached have
        `semfn_error` `stopped`.

    Raises:
        ConfigurationError: If something must be put right first; nothing was sent.
        AnalysisError: If the service stopped the work before it ever answered.
        LedgerError: If the ledger cannot be written.
    """
    for name in ("encoding", "delimiter"):
        if name in options:
            raise ConfigurationError(f"A DataFrame has no {name}; leave the option out.")
    chosen = _options(options)
    columns = frames.columns_of(
        frame, {role: options.pop(f"{role}_column", None) for role in frames.ROLES}
    )
    frame = frame[: chosen.limit]
    with tempfile.TemporaryDirectory(prefix="semfn-") as folder:
        source = Path(folder) / "DataFrame"
        digest = frames.write_frame(source, frame, columns)
        options.setdefault("ledger", frames.state_ledger(digest))
        output = source.with_name("labeled.csv")
        try:
            summary = analyze_file(source, output, topic=topic, hooks=hooks, **options)
        except InputError as error:
            raise InputError(frames.in_words_of_frames(str(error), source)) from None
        if summary.stopped and not summary.labeled:
            raise AnalysisError(summary.stopped)
        labeled = frames.with_verdicts(frame, Path(summary.paths["output"]))
    labeled.attrs["semfn"] = summary.to_dict() | {"paths": {"ledger": summary.paths["ledger"]}}
    return labeled


def _options(options: Mapping[str, Any]) -> RunOptions:
    """Return the options of a run; unknown names are refused with the known ones."""
    known = {field.name for field in fields(RunOptions)}
    if unknown := sorted(options.keys() - known):
        raise ConfigurationError(
            f"There is no option {', '.join(unknown)}. Options: {', '.join(sorted(known))}."
        )
    return RunOptions(**options)


def _run_table(table: Table, output: Path, options: RunOptions, hooks: Hooks) -> RunSummary:
    """Put analyzer, ledger and, if wanted, the local service around a table, and run it."""
    ledger = options.ledger or output.with_name(f"{output.name}.semfn.sqlite")
    with contextlib.ExitStack() as held:
        endpoint = _endpoint(held, options)
        analyzer = HybridSemanticAnalyzer(
            endpoint=endpoint,
            model=options.model,
            label_set=options.label_set,
            language=options.language,
            routes=options.routes,
            timeout_s=options.timeout_s,
            max_concurrent=options.max_concurrent,
            on_event=hooks.on_event,
            settings=options.settings,
            service_tier=options.service_tier,
            tape=held.enter_context(_recording(options.tape)).write if options.tape else None,
        )
        per_request, packing = _packing(table, analyzer, options, hooks)
        run = TableRun(
            table=table,
            paths=RunPaths(output=output, ledger=Path(ledger)),
            analyzer=analyzer,
            chunks_per_request=per_request,
            fresh=options.fresh,
            max_failed=options.max_failed,
            clock=time.monotonic,
            settings_record=_record(analyzer, options, endpoint) | {"chunks_per_request": packing},
        )
        held.callback(run.close)
        return _drive(run, analyzer, hooks, options)


def _packing(
    table: Table, analyzer: HybridSemanticAnalyzer, options: RunOptions, hooks: Hooks
) -> tuple[int, str]:
    """Return the chunks in one request of a run, and the same for its record.

    A plan is made of all rows, also beyond `limit` or held, before anything is heard of the
    service: so a run after a pilot or a stop sends the same requests.
    """
    asked = options.max_chunks_per_request or options.settings.chunks_per_request
    if isinstance(asked, int):
        return asked, str(asked)
    slices = ([row.chunk for row in rows] for rows in replace(table, limit=None).slices())
    plan = analyzer.plan(slices, topic=table.topic)
    words = f"{plan.chunks_per_request} ({AUTO}: {plan.because})"
    if hooks.on_notes is not None:
        hooks.on_notes((f"chunks in one request: {words}",))
    return plan.chunks_per_request, words


def _drive(
    run: TableRun,
    analyzer: HybridSemanticAnalyzer,
    hooks: Hooks,
    options: RunOptions,
) -> RunSummary:
    plan = run.prepare()
    if hooks.on_plan is not None:
        hooks.on_plan(plan, run.paths)
    elif not options.yes and not options.local:
        check_cost(plan, options.settings)
    stop: StopKind | None = None
    reason = ""
    try:
        if plan.rows > plan.reused:
            stop, reason = _stop_of(run, analyzer, hooks)
        if stop is not None and run.is_complete(plan):
            stop, reason = None, ""
        return run.finish(plan, stop=stop, reason=reason)
    except InputError as error:
        # It was read before anything was sent, so it has changed since. No output can be derived.
        raise LedgerError(f"{error} What is paid for is kept in the ledger.") from error
    except LedgerError as error:
        with contextlib.suppress(LedgerError, InputError):  # the same disk may refuse this, too
            if stop is None:
                run.finish(plan, stop=StopKind.DISK, reason=str(error))
                error.add_note(f"What is paid for so far: {run.paths.partial}")
        raise


def _stop_of(
    run: TableRun, analyzer: HybridSemanticAnalyzer, hooks: Hooks
) -> tuple[StopKind | None, str]:
    """Do the paid work; return why it ended early, or None."""
    try:
        work = _label(run, analyzer, hooks)
        return run_here(work, on_interrupt=lambda: analyzer.stop(INTERRUPTED))
    except KeyboardInterrupt:  # while connections were closed
        return StopKind.INTERRUPTED, INTERRUPTED
    except LocalProtocolError as error:
        return StopKind.DISK, f"{error} Please report this."


async def _label(
    run: TableRun, analyzer: HybridSemanticAnalyzer, hooks: Hooks
) -> tuple[StopKind | None, str]:
    async with analyzer:
        try:
            with drained(analyzer) if hooks.handles_signals else contextlib.nullcontext():
                await run.label(hooks.on_verdict)
        except asyncio.CancelledError:
            return StopKind.INTERRUPTED, INTERRUPTED
        reason = analyzer.stop_reason
        if reason is None:
            return None, ""
        if reason == INTERRUPTED:
            return StopKind.INTERRUPTED, reason
        routes = analyzer.statistics()["routes"].values()
        if any(route["closed_because"] == reason for route in routes):
            return StopKind.SERVICE, reason  # the service's own no, which names its cure
        return StopKind.SERVICE, f"{reason.rstrip('.')}. {OUTAGE_CURE}"


def check_cost(plan: Plan, settings: Settings = SETTINGS) -> None:
    """Refuse a run whose estimated cost needs a yes.

    Raises:
        ConfigurationError: Names the figure and the cure.
    """
    cost = plan.estimate.cost_usd
    if cost is not None and cost > settings.confirm_above_usd:
        raise ConfigurationError(
            f"The run is estimated at {cost:.2f} USD, above {settings.confirm_above_usd:.2f} USD. "
            "Pass --yes (yes=True) to go on, or --limit to label fewer rows first."
        )


def _endpoint(held: contextlib.ExitStack, options: RunOptions) -> Endpoint:
    """Return where requests go; starts the local service if that is wanted."""
    if options.local:
        base_url = held.enter_context(local_service(language=options.language))
        return Endpoint.find(api_key="local", base_url=base_url, host=EMBEDDED)
    if options.routes == ("offline",):
        return Endpoint.none()
    return options.endpoint or Endpoint.find(api_key=options.api_key, base_url=options.base_url)


def _recording(path: str | Path) -> Recording:
    """Create the file for the decisions of a run."""
    try:
        return Recording(Path(path))
    except OSError as error:
        raise ConfigurationError(
            f"The tape {path} cannot be created: {cause(error)}. Pass the name of a new file with "
            "--tape."
        ) from error


@contextlib.contextmanager
def local_service(*, language: str = "auto") -> Iterator[str]:
    """Run the local service in a thread of its own, with labels from rules; yields its base URL."""
    from analysis.labels.rules import label_texts
    from analysis.simulator.server import start_in_thread
    from analysis.simulator.service import Answerer, Service

    answerer = Answerer(
        name="offline-rules", label=lambda texts, topic: label_texts(texts, topic, language)
    )
    with start_in_thread(Service(answerer=answerer)) as base_url:
        yield base_url


def _record(
    analyzer: HybridSemanticAnalyzer, options: RunOptions, endpoint: Endpoint
) -> dict[str, str]:
    """Return what a run says about its own settings."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "endpoint": endpoint.host,
        "routes": ",".join(analyzer.routes),
        "models": ",".join(f"{route}={model}" for route, model in analyzer.models.items()),
        "label_set": f"{analyzer.label_set.name} {analyzer.label_set.version}",
        "language": options.language,
        "fresh": "yes" if options.fresh else "no",
        "service_tier": options.service_tier or "",
    }
