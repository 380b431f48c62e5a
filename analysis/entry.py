"""The sync door: `analyze_file` labels a whole file; `semfn run` is a shell around it.

io. It puts the parts of a run together: table, analyzer, ledger, local service.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from analysis import __version__
from analysis.connections import check_routes
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import ConfigurationError, LedgerError
from analysis.labels.label_set import LabelSet
from analysis.pipeline.report import RunSummary, StopKind
from analysis.pipeline.run import INTERRUPTED, Plan, RunPaths, TableRun
from analysis.pipeline.tables import Table, default_output, open_table
from analysis.records import Verdict
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import DEFAULT_LABEL_SET, SETTINGS, Settings
from analysis.telemetry import Sink

DEFAULT_RUN_ROUTES = ("rest",)
"""Routes of a file run: one model, strict schema, the lowest price of the routes there are."""

LARGEST_PACK = 20
"""Most chunks in one request until an audit with a live model shows that more is safe."""

DRAIN_S = 15.0
"""Seconds that requests in flight get to end after a run was interrupted."""

_T = TypeVar("_T")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a file run; the command has the same ones.

    Attributes:
        id_column: Column of the ids; without the column `id` the row number is the id.
        text_column: Column of the texts, by default `text`.
        document_column: Packs never cross documents; by default `document` where it exists.
        topic_column: By default `topic` where it exists.
        encoding: By default UTF-8.
        delimiter: By default the comma, or what the header shows alone.
        label_set: Name of a label set, or a `LabelSet`.
        language: Of the texts: `auto`, `en`, `ru`, `fr` or `zh`.
        route: Route names, a sequence or separated by commas.
        model: A model for a single route, or a mapping from route to model.
        max_chunks_per_request: 1 to 20, by default 10.
        max_concurrent: Requests at once on each route.
        local: Start the local service and label through it, without key and network.
        limit: Only the first so many rows.
        max_failed: Failed rows up to which the exit code is 0; below 1 a share of the rows.
        ledger: By default `<output>.semfn.sqlite`.
        fresh: Ask everything again; earlier answers stay in the ledger.
        yes: Go on although the estimate is above 5 USD.
        api_key: By default the variable OPENAI_API_KEY.
        base_url: By default the variable OPENAI_BASE_URL, else OpenAI's address.
        timeout_s: Seconds for one request.
        settings: Knobs.
    """

    id_column: str | None = None
    text_column: str | None = None
    document_column: str | None = None
    topic_column: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    label_set: str | LabelSet = DEFAULT_LABEL_SET
    language: str = "auto"
    route: str | Sequence[str] = DEFAULT_RUN_ROUTES
    model: str | Mapping[str, str] | None = None
    max_chunks_per_request: int | None = None
    max_concurrent: int | None = None
    local: bool = False
    limit: int | None = None
    max_failed: float = 0
    ledger: str | Path | None = None
    fresh: bool = False
    yes: bool = False
    api_key: str | None = None
    base_url: str | None = None
    timeout_s: float = SETTINGS.timeout_s
    settings: Settings = SETTINGS

    def __post_init__(self) -> None:
        size = self.max_chunks_per_request
        if size is not None and not 1 <= size <= LARGEST_PACK:
            raise ConfigurationError(
                f"max_chunks_per_request is {size}; allowed: 1 to {LARGEST_PACK} chunks."
            )
        if self.max_failed < 0:
            raise ConfigurationError(f"max_failed is {self.max_failed}; it must be 0 or more.")

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes as a checked tuple."""
        return check_routes(self.route)

    @property
    def per_request(self) -> int:
        """Chunks in one request."""
        return self.max_chunks_per_request or self.settings.chunks_per_request


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
    known = {field.name for field in fields(RunOptions)}
    if unknown := sorted(options.keys() - known):
        raise ConfigurationError(
            f"There is no option {', '.join(unknown)}. Options: {', '.join(sorted(known))}."
        )
    chosen = RunOptions(**options)
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
        )
        run = TableRun(
            table=table,
            paths=RunPaths(output=output, ledger=Path(ledger)),
            analyzer=analyzer,
            chunks_per_request=options.per_request,
            fresh=options.fresh,
            max_failed=options.max_failed,
            clock=time.monotonic,
            settings_record=_record(analyzer, options, endpoint),
        )
        held.callback(run.close)
        return _drive(run, analyzer, hooks, options)


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
    stop, reason = None, ""
    if plan.rows > plan.reused:
        try:
            stop, reason = _run_here(_label(run, analyzer, hooks))
        except LedgerError as error:
            with contextlib.suppress(LedgerError):  # the same disk may refuse this, too
                run.finish(plan, stop=StopKind.DISK, reason=str(error))
            raise
    return run.finish(plan, stop=stop, reason=reason)


async def _label(
    run: TableRun, analyzer: HybridSemanticAnalyzer, hooks: Hooks
) -> tuple[StopKind | None, str]:
    """Do the paid work; return why it ended early, or None."""
    async with analyzer:
        try:
            with _signals(analyzer) if hooks.handles_signals else contextlib.nullcontext():
                await run.label(hooks.on_verdict)
        except asyncio.CancelledError:
            return StopKind.INTERRUPTED, INTERRUPTED
        reason = analyzer.stop_reason
    if reason is None:
        return None, ""
    return (StopKind.INTERRUPTED if reason == INTERRUPTED else StopKind.SERVICE), reason


@contextlib.contextmanager
def _signals(analyzer: HybridSemanticAnalyzer) -> Iterator[None]:
    """First Ctrl-C or SIGTERM: nothing new is sent, what is in flight may end; second: at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # a coroutine always runs in a task

    def hear() -> None:
        if analyzer.stop_reason == INTERRUPTED:
            task.cancel()
        else:
            analyzer.stop(INTERRUPTED)
            loop.call_later(DRAIN_S, task.cancel)

    names = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(name, lambda *_: loop.call_soon_threadsafe(hear)) for name in names]
    try:
        yield
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)


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
    return Endpoint.find(api_key=options.api_key, base_url=options.base_url)


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
        "chunks_per_request": str(options.per_request),
    }


def _run_here(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end, also when this thread already has a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    found: list[_T] = []
    failed: list[BaseException] = []

    def target() -> None:
        try:
            found.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 (task boundary: raised again by the caller)
            failed.append(error)

    thread = threading.Thread(target=target, name="semfn-run")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]
