"""The sync doors: `analyze_file` and `analyze_dataframe`; `semfn run` is a shell around the first.

io. It puts the parts of a run together: table, analyzer, ledger, local service.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from analysis import __version__
from analysis.analyzer import FileEstimate
from analysis.arguments import check_topic
from analysis.audit.record import topic_digest
from analysis.commands.wording import partial_words
from analysis.connections import without_logprobs
from analysis.endpoint import EMBEDDED, NO_KEY, VARIABLES, Endpoint
from analysis.errors import (
    AnalysisError,
    ConfigurationError,
    InputError,
    PartialResultWarning,
)
from analysis.hooks import Hooks
from analysis.kinds import NONE, check_kind, instance_of, plain_number
from analysis.labels.label_set import LabelSet
from analysis.pipeline import frames
from analysis.pipeline.dialect import cause
from analysis.pipeline.places import RunPaths
from analysis.pipeline.reading_facts import reading_facts
from analysis.pipeline.report import RunSummary, StopKind
from analysis.pipeline.run import Plan, RunChoices, TableRun
from analysis.pipeline.tables import Row, scan
from analysis.prices import PriceTable, own_prices
from analysis.progress import shown
from analysis.recording import Recording
from analysis.run_course import drive
from analysis.run_inputs import Opened, open_run, packed
from analysis.run_options import RunOptions
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import DEFAULT_LABEL_SET
from analysis.telemetry import Sink

FILE_OPTIONS = ("encoding", "delimiter", "csv_formulas")
"""Options that a data frame does not have."""

Frame = TypeVar("Frame")
"""A data frame of any kind that `frames.columns_of` takes."""


def analyze_file(
    path_in: str | Path | Sequence[str | Path],
    path_out: str | Path | None = None,
    *,
    topic: str | None = None,
    hooks: Hooks | None = None,
    **options: Any,
) -> RunSummary:
    """Label every chunk of one file or several and write each with the labels beside its rows.

    The same call again continues where the last one stopped, and sends nothing when all is done.

    Args:
        path_in: CSV, TSV, JSONL or Parquet with the columns `id`, `text` and, if there, `document`
            and `topic`; the text formats also as `.gz`. A folder stands for the files in it, `-`
            for `hooks.stdin`. Several make one run.
        path_out: For one file a file, by default `<input>.labeled.csv` beside the input and in its
            format, or `-` for `hooks.stdout`. For several a folder.
        topic: For rows without a topic of their own.
        hooks: An `analysis.hooks.Hooks`: what the caller wants to hear of the run.
        **options: The fields of `analysis.run_options.RunOptions`.

    Returns:
        The summary; `exit_code` is that of the command. A run that was stopped returns, too: what
        is paid for stands in `OUT.partial.csv`.

    Raises:
        ConfigurationError: If something must be put right first; nothing was sent.
        LedgerError: If ledger or output cannot be written.
    """
    hooks, chosen = _heard(hooks, topic), _options(options)
    with contextlib.ExitStack() as held:
        hooks = held.enter_context(shown(hooks, chosen, clock=time.monotonic, stream=sys.stderr))
        opened = open_run(held, path_in, path_out, topic, chosen, hooks)
        run, analyzer = _run_of(held, opened, chosen, hooks)
        return drive(run, analyzer, hooks, chosen)


def plan_file(
    path_in: str | Path | Sequence[str | Path],
    path_out: str | Path | None = None,
    *,
    topic: str | None = None,
    hooks: Hooks | None = None,
    **options: Any,
) -> Plan:
    """Tell what `analyze_file` would do now: what the ledger holds, and what is to be asked.

    Nothing is sent, the ledger is only read, and no key is needed: without one, and without a base
    URL, the run is planned for OpenAI's address.

    Args:
        path_in: As for `analyze_file`.
        path_out: As for `analyze_file`; by it the ledger is found.
        topic: For rows without a topic of their own.
        hooks: Told what was assumed about the input.
        **options: The fields of `analysis.run_options.RunOptions`.

    Raises:
        ConfigurationError: If the run would be refused.
        LedgerError: If the ledger cannot be read.
    """
    hooks, chosen = _heard(hooks, topic), _options(options)
    with contextlib.ExitStack() as held:
        opened = open_run(held, path_in, path_out, topic, chosen, hooks)
        run, _ = _run_of(held, opened, chosen, hooks, is_preview=True)
        return run.prepare()


def estimate_file(
    path_in: str | Path | Sequence[str | Path],
    *,
    topic: str | None = None,
    hooks: Hooks | None = None,
    **options: Any,
) -> FileEstimate:
    """Tell what labelling a file would take; nothing is sent or written, and no key is needed.

    With a key, its times go by the limits that earlier runs with that key have learned.

    Args:
        path_in: As for `analyze_file`.
        topic: For rows without a topic of their own.
        hooks: Told what was assumed about the input.
        **options: The fields of `RunOptions`; those about sending change nothing.

    Raises:
        ConfigurationError: If the input or an option cannot be used.
    """
    hooks, chosen = _heard(hooks, topic), _options(options)
    chosen = replace(chosen, label_set=_label_set(chosen))
    if (notes := tuple(_definition_notes(_label_set(chosen)))) and hooks.on_notes is not None:
        hooks.on_notes(notes)
    with contextlib.ExitStack() as held:
        opened = open_run(held, path_in, None, topic, chosen, hooks, is_estimate=True)
        analyzer = _analyzer(chosen, _known_endpoint(chosen), context=opened.context)
        opened, per_request, packing = packed(opened, analyzer, chosen, hooks)
        tallies = [
            analyzer.tally(topic=opened.topic, chunks_per_request=per_request, route=route)
            for route in analyzer.routes
        ]

        def count(rows: Sequence[Row]) -> None:
            chunks = [row.chunk for row in rows]
            for tally in tallies:
                tally.add(chunks)

        is_needed = analyzer.label_set.needs_topic
        rows = sum(scan(job.table, count, needs_topic=is_needed).rows for job in opened.jobs)
        estimates = tuple(tally.estimate() for tally in tallies)
        return FileEstimate(rows=rows, packing=packing, routes=estimates)


def analyze_dataframe(
    frame: Frame,
    topic: str | None = None,
    *,
    hooks: Hooks | None = None,
    **options: Any,
) -> Frame:
    """Label every row of a DataFrame; return a new one with the verdict columns beside yours.

    Works inside a running event loop, too. Index, order and types of the given columns stay. The
    ledger of the run is kept in the state folder under a digest of the rows, so the same call
    again, also from another process, asks nothing twice.

    Args:
        frame: Of pandas, or with the extra `frames` of polars, pyarrow and others. Columns `text`
            (str), and if there `id` (unique), `document` and `topic`; other names by `text_column`
            and so on. Without an id column the row number is the id.
        topic: For rows without a topic of their own.
        hooks: An `analysis.hooks.Hooks`: what the caller wants to hear of the run.
        **options: The fields of `analysis.run_options.RunOptions`, but for `encoding`, `delimiter`
            and `csv_formulas`.

    Returns:
        A new frame of the same kind; of a pandas frame `attrs["semfn"]` holds the summary of the
        run. Rows that were not reached have `semfn_error` `stopped`, those beyond `limit` or
        `sample` are left out. If the run was stopped, also by Ctrl-C, or more rows failed than
        `max_failed`, a `PartialResultWarning` says so.

    Raises:
        ConfigurationError: If something must be put right first; nothing was sent.
        AnalysisError: If the service stopped the work before it ever answered.
        LedgerError: If the ledger cannot be written.
    """
    hooks = _heard(hooks, topic)
    named = {role: options.pop(f"{role}_column", None) for role in frames.ROLES}
    for role, name in named.items():  # unlike those of a file, they may be of any type
        check_kind(f"{role}_column", name, instance_of(Hashable, "the name of a column"))
    _options(options, without=FILE_OPTIONS)  # refuses what is unknown or cannot be used
    has_review = options.get("min_confidence") is not None
    columns = frames.columns_of(frame, named, has_review=has_review)
    notes = frames.title_notes(frame, columns)
    if notes and hooks.on_notes is not None:
        hooks.on_notes(notes)
    if frames.TITLE in columns:  # the table below names its columns by their roles
        options["title_column"] = frames.TITLE
    with frames.temporary_folder() as folder:
        source = folder / "DataFrame"
        digest = frames.write_frame(source, frame, columns)
        if options.get("ledger") is None:
            options["ledger"] = frames.state_ledger(digest)
        output = source.with_name("labeled.csv")
        try:
            summary = analyze_file(source, output, topic=topic, hooks=hooks, **options)
        except InputError as error:
            raise InputError(frames.in_words_of_frames(str(error), source)) from None
        if summary.exit_code == StopKind.SERVICE.value and not summary.labeled:
            raise AnalysisError(summary.stopped)
        labeled = frames.with_verdicts(frame, Path(summary.paths["output"]), has_review=has_review)
    if words := partial_words(summary):
        words = frames.in_words_of_frames(words, source)
        warnings.warn(words, PartialResultWarning, stacklevel=2)
    frames.attach_summary(labeled, summary)
    return labeled


def _heard(hooks: Hooks | None, topic: str | None) -> Hooks:
    """Return the hooks of a call whose hooks and topic are of the right kinds."""
    check_topic(topic)
    check_kind("hooks", hooks, instance_of(Hooks, "a Hooks") | NONE)
    return hooks or Hooks()


def _options(options: Mapping[str, Any], *, without: Collection[str] = ()) -> RunOptions:
    """Return the options of a run; unknown names are refused with those that the door has."""
    for name in without:
        if name in options:
            raise ConfigurationError(f"A DataFrame has no {name}; leave the option out.")
    known = {field.name for field in fields(RunOptions)} - set(without)
    if unknown := sorted(options.keys() - known):
        raise ConfigurationError(
            f"There is no option {', '.join(unknown)}. Options: {', '.join(sorted(known))}."
        )
    return RunOptions(**{name: plain_number(value) for name, value in options.items()})


def _analyzer(
    options: RunOptions,
    endpoint: Endpoint,
    *,
    context: int,
    on_event: Sink | None = None,
    tape: Callable[[str], None] | None = None,
) -> HybridSemanticAnalyzer:
    return HybridSemanticAnalyzer(
        endpoint=endpoint,
        model=options.model,
        label_set=options.label_set,
        language=options.language,
        routes=options.routes,
        timeout_s=options.timeout_s,
        max_concurrent=options.max_concurrent,
        on_event=on_event,
        settings=options.settings,
        service_tier=options.service_tier,
        tape=tape,
        prices=None if options.prices is None else read_prices(Path(options.prices)),
        context=context,
        logprobs=options.logprobs,
        examples=options.examples,
    )


def read_prices(path: Path) -> PriceTable:
    """Read a price table of the user's own.

    Raises:
        ConfigurationError: If it cannot be read or is none.
    """
    try:
        return own_prices(path.read_text(encoding="utf-8-sig"), name=str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = cause(error) if isinstance(error, OSError) else "it is no UTF-8"
        raise ConfigurationError(
            f"The price table {path} cannot be read: {why}. Pass the path of a TOML file in UTF-8."
        ) from error


def _run_of(
    held: contextlib.ExitStack,
    opened: Opened,
    options: RunOptions,
    hooks: Hooks,
    *,
    is_preview: bool = False,
) -> tuple[TableRun, HybridSemanticAnalyzer]:
    """Put analyzer, ledger and, if wanted, the local service around the inputs.

    A preview starts no service and writes no tape.
    """
    labels = _label_set(options)  # read once, so that both sides have the same one
    file, options = options.label_set, replace(options, label_set=labels)
    endpoint = _endpoint_to_plan(options) if is_preview else _endpoint(held, options)
    tape = None if is_preview else _tape(held, options)
    analyzer = _analyzer(
        options, endpoint, context=opened.context, on_event=hooks.on_event, tape=tape
    )
    notes = tuple(_label_notes(labels, options))
    if notes and hooks.on_notes is not None:
        hooks.on_notes(notes)
    if options.budget is not None:
        analyzer.check_budget(options.budget)
    opened, per_request, packing = packed(opened, analyzer, options, hooks)
    record = _record(analyzer, options, endpoint) | {
        "chunks_per_request": packing,
        "context": str(opened.context),
        "prompt": analyzer.run_key["prompt"],
        "topic_digest": topic_digest(opened.topic),
        "title_column": options.title_column or "",
    }
    if isinstance(file, str) and file not in LabelSet.available():
        record["label_set_file"] = str(Path(file).resolve())
    run = TableRun(
        jobs=opened.jobs,
        paths=RunPaths.of(
            opened.jobs,
            folder=opened.folder,
            ledger=None if options.ledger is None else Path(os.path.expanduser(options.ledger)),
            spool=opened.spool,
        ),
        analyzer=analyzer,
        choices=RunChoices(
            chunks_per_request=per_request,
            fresh=options.fresh,
            retry_failed=options.retry_failed,
            reuse=options.reused_ledgers,
            max_failed=options.max_failed or 0,
            is_capped_by_failures=options.max_failed is not None,
            budget_usd=options.budget,
            stop_after_s=options.stop_after,
            csv_formulas=options.csv_formulas,
            record=record,
            needs_topic=labels.needs_topic,
            label_names=_label_names(labels, options),
            notes=notes,
            review=options.review,
            overwrite=options.overwrite,
            is_preview=is_preview,
            without_logprobs=(
                without_logprobs(analyzer.models, endpoint) if options.logprobs else ()
            ),
        ),
        clock=time.monotonic,
        stdout=hooks.stdout,
    )
    held.callback(run.close)
    return run, analyzer


def _label_set(options: RunOptions) -> LabelSet:
    chosen = options.label_set
    found = LabelSet.load(chosen) if isinstance(chosen, str) else chosen
    return found if options.definitions is None else found.in_language(options.definitions)


def _label_names(labels: LabelSet, options: RunOptions) -> dict[str, str]:
    """Return what stands in the output for each key; nothing if the keys do."""
    language = options.label_names
    return {} if language is None else {key: labels.name_of(key, language) for key in labels.keys}


def _label_notes(labels: LabelSet, options: RunOptions) -> Iterator[str]:
    """Yield what is to be said of the labels before anything is sent."""
    if options.examples:
        yield "the model is told examples of the labels; what they do to labels is unmeasured"
    yield from _definition_notes(labels)
    if options.local or "offline" in options.routes:
        from analysis.labels.rules import has_rules

        if not has_rules(labels):
            yield (
                f"offline-rules know no cues for the label set {labels.name}: every chunk that "
                f"they label gets {labels.default}"
            )
    language = options.label_names
    if language is not None and (unnamed := labels.unnamed(language)):
        yield (
            f"the label set {labels.name} has no name in {language} for {', '.join(unnamed)}: the "
            "English name stands in the output, else the key"
        )


def _definition_notes(labels: LabelSet) -> Iterator[str]:
    """Yield a word on definitions whose effect nobody knows."""
    if labels.definition_language != "en":
        yield (
            f"the model gets the definitions of {labels.name} in {labels.definition_language} "
            "(unmeasured): how that changes the labels is not known"
        )


def _endpoint(held: contextlib.ExitStack, options: RunOptions) -> Endpoint:
    """Return where requests go; starts the local service if that is wanted."""
    if options.local:
        base_url = held.enter_context(
            local_service(language=options.language, label_set=options.label_set)
        )
        return Endpoint.find(api_key="local", base_url=base_url, host=EMBEDDED)
    if options.routes == ("offline",):
        return Endpoint.none()
    return options.endpoint or Endpoint.find(api_key=options.api_key, base_url=options.base_url)


def _known_endpoint(options: RunOptions) -> Endpoint:
    """Return where a run would ask, for what is known of its limits; nowhere if nobody says."""
    if not options.local and options.routes != ("offline",):
        with contextlib.suppress(ConfigurationError):  # the run will name it; figures need no key
            return options.endpoint or Endpoint.find(
                api_key=options.api_key, base_url=options.base_url
            )
    return Endpoint.none()


def _endpoint_to_plan(options: RunOptions) -> Endpoint:
    """Return where requests would go, by which rows are known in the ledger; nothing is sent."""
    if options.local:
        return Endpoint.find(api_key="local", base_url="http://127.0.0.1", host=EMBEDDED)
    if options.routes == ("offline",):
        return Endpoint.none()
    key = options.api_key or os.environ.get(VARIABLES["api_key"]) or NO_KEY
    return options.endpoint or Endpoint.find(api_key=key, base_url=options.base_url)


def _tape(held: contextlib.ExitStack, options: RunOptions) -> Callable[[str], None] | None:
    """Return what writes the decisions of the run, if that is wanted."""
    return held.enter_context(_recording(options.tape)).write if options.tape else None


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
def local_service(
    *, language: str = "auto", label_set: str | LabelSet = DEFAULT_LABEL_SET
) -> Iterator[str]:
    """Run the local service in a thread of its own, with labels from rules; yields its base URL."""
    from analysis.labels.rules import Rules
    from analysis.simulator.server import start_in_thread
    from analysis.simulator.service import Answerer, Service

    labels = LabelSet.load(label_set) if isinstance(label_set, str) else label_set
    rules = Rules(label_set=labels, language=language)
    answerer = Answerer(name="offline-rules", label=rules.label, label_placed=rules.label_placed)
    with start_in_thread(Service(answerer=answerer)) as base_url:
        yield base_url


def _record(
    analyzer: HybridSemanticAnalyzer, options: RunOptions, endpoint: Endpoint
) -> dict[str, str]:
    """Return what a run says about its own settings."""
    labels = analyzer.label_set
    found = {
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "endpoint": endpoint.host,
        "routes": ",".join(analyzer.routes),
        "models": ",".join(f"{route}={model}" for route, model in analyzer.models.items()),
        "label_set": f"{labels.name} {labels.version}",
        "label_set_digest": labels.digest,
        "language": options.language,
        "fresh": "yes" if options.fresh else "no",
        "retry_failed": "yes" if options.retry_failed else "no",
        "service_tier": options.service_tier or "",
        "logprobs": "yes" if options.logprobs else "no",
    }
    if labels.definition_language != "en":
        found["definitions"] = f"{labels.definition_language} (unmeasured)"
    if labels.shows_examples:
        found["examples"] = "yes (unmeasured)"
    return found | reading_facts(options.settings)
