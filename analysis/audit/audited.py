"""An audit: rows of a finished output are asked again, and labels that change are counted.

io. `commands.evaluate_audit` calls `prepare`, says what it costs, and then calls `carry_out`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.analyzer import Estimate
from analysis.audit.arms import AGAIN, RELISTED, Arm, audit_arms, shared_requests
from analysis.audit.asking import Asked, Progress, ask_all, estimated, left_of
from analysis.audit.kept import Store, source_of
from analysis.audit.record import RunFacts, topic_digest
from analysis.endpoint import EMBEDDED, Endpoint, without_port
from analysis.entry import local_service
from analysis.errors import ConfigurationError, InputError
from analysis.evaluation.reasked import beyond_noise, changed
from analysis.evaluation.rows import OutputRow, shown
from analysis.labels.label_set import LabelSet
from analysis.pipeline.bill import SIMULATED_MODELS
from analysis.pipeline.sampling import Sample, draw
from analysis.pipeline.tables import Row, Span, Table, scan
from analysis.records import Chunk, StopCause
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import SETTINGS, Settings

AUDIT_VERSION = 2
"""Moves when a field of the document changes its meaning or goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user wants of an audit.

    Attributes:
        rows: Rows to ask again.
        seed: Draws the rows, the other order of chunks, and that of labels.
        routes: Also ask the same requests over these routes, or None.
        model: Their models, as for an analyzer.
        local: Ask the local service.
        budget_usd: Most US dollars for all of it, or None.
        settings: Knobs of the analyzers.
    """

    rows: int
    seed: int
    routes: tuple[str, ...] | None = None
    model: str | Mapping[str, str] | None = None
    local: bool = False
    budget_usd: float | None = None
    settings: Settings = SETTINGS

    def is_free(self, facts: RunFacts) -> bool:
        """Tell whether only the local service or rules are asked, which cost nothing."""
        return self.local or (facts.routes == ("offline",) and self.routes is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Arms that one analyzer asks."""

    analyzer: HybridSemanticAnalyzer
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """An audit that is ready to begin.

    Attributes:
        facts: How the run asked.
        wanted: What the user wants.
        label_set: Of the run.
        rows: Chunk id -> row of the output, of the sampled rows.
        topic: Of rows without one of their own.
        trials: What is asked.
        is_simulated: The local service or rules answer, so no figure is a model's.
        store: Keeps the answers, or None.
    """

    facts: RunFacts
    wanted: Wanted
    label_set: LabelSet
    rows: Mapping[str, OutputRow]
    topic: str | None
    trials: tuple[Trial, ...]
    is_simulated: bool
    store: Store | None = None

    @property
    def compared(self) -> dict[str, OutputRow]:
        """The sampled rows that were asked in that run and have a label."""
        return {name: row for name, row in self.rows.items() if row.labels and not row.is_reused}

    def estimates(self) -> list[Estimate]:
        """Return what is left to ask of each arm; nothing is sent."""
        return [
            estimated(arm, trial.analyzer, self.topic, self.store)
            for trial in self.trials
            for arm in trial.arms
        ]

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the arms in the store."""
        return tuple(
            source_of(arm, trial.analyzer, self.topic)
            for trial in self.trials
            for arm in trial.arms
        )


def prepare(
    held: contextlib.ExitStack,
    *,
    facts: RunFacts,
    wanted: Wanted,
    label_set: LabelSet,
    table: Table,
    rows: Sequence[OutputRow],
    texts: Mapping[str, str],
    output: Path,
    store: Store | None = None,
) -> Audit:
    """Draw the rows and make the analyzers; nothing is sent.

    Args:
        held: Ends the local service.
        facts: How the run asked.
        wanted: What the user wants.
        label_set: Of the run.
        table: Its input.
        rows: Its output.
        texts: Chunk id -> text, as the output has it; empty where it has no such column.
        output: For messages.
        store: Keeps the answers.

    Raises:
        ConfigurationError: If the run cannot be asked again as it was.
        InputError: If the input is not that of the output.
    """
    _check_topic(facts, table.topic)
    _check_titles(facts, table)
    block, by_id = facts.chunks_per_request, {row.id: row for row in rows}
    sample = Sample(size=wanted.rows, seed=wanted.seed, block=block)
    chunks = _drawn(table, by_id, sample, output)
    _check_texts(chunks, texts, table, output)
    endpoint = _endpoint(held, facts, wanted, label_set)
    own = _analyzer(facts.routes, facts.models, facts, label_set, endpoint, wanted.settings)
    if facts.prompt and own.run_key["prompt"] != facts.prompt:
        raise ConfigurationError(
            f"{output} was made with another prompt or label set than this version of semfn has "
            "under that name, so labels would differ for that reason, too. Pass the --label-set "
            "of the run, or label the input again before an audit."
        )
    arms = audit_arms(chunks, chunks_per_request=block, seed=wanted.seed)
    trials = [Trial(analyzer=own, arms=arms)]
    relisted = label_set.relisted(random.Random(wanted.seed))
    other = _analyzer(facts.routes, facts.models, facts, relisted, endpoint, wanted.settings)
    trials.append(Trial(analyzer=other, arms=(replace(arms[0], name=RELISTED),)))
    if wanted.routes is not None:
        other = _analyzer(wanted.routes, wanted.model, facts, label_set, endpoint, wanted.settings)
        arm = replace(arms[0], name=f"over {','.join(wanted.routes)}")
        trials.append(Trial(analyzer=other, arms=(arm,)))
    if wanted.budget_usd is not None:
        for trial in trials:
            trial.analyzer.check_budget(wanted.budget_usd)
    return Audit(
        facts=facts,
        wanted=wanted,
        label_set=label_set,
        rows={chunk.id: by_id[chunk.id] for chunk in chunks},
        topic=table.topic,
        trials=tuple(trials),
        is_simulated=wanted.local or facts.routes == ("offline",),
        store=store,
    )


def _check_topic(facts: RunFacts, topic: str | None) -> None:
    if facts.topic_digest is None or topic_digest(topic) == facts.topic_digest:
        return
    had = "a topic" if facts.topic_digest else "no topic"
    raise ConfigurationError(
        f"The run had {had} of its own that is not the one given now, and the topic is part of "
        "each question. Pass the --topic of the run."
    )


def _check_titles(facts: RunFacts, table: Table) -> None:
    if "title" in table.roles and not facts.title_column:
        raise ConfigurationError(
            "The run sent no titles, and the title is part of a question. Leave --title-column out."
        )


def _drawn(
    table: Table, rows: Mapping[str, OutputRow], sample: Sample, output: Path
) -> list[Chunk]:
    """Draw among the rows of the output, which are fewer than the input's after a pilot.

    Raises:
        InputError: If the output has a row that the input does not have.
    """
    numbers: list[int] = []
    missing = dict.fromkeys(rows)

    def visit(slice_: Sequence[Row]) -> None:
        for row in slice_:
            if row.chunk.id in rows:
                numbers.append(row.number)
                missing.pop(row.chunk.id, None)

    found = scan(table, visit, needs_topic=False)
    if missing:
        raise InputError(
            f"{output} has a row {shown(next(iter(missing)))} that {table.path} does not have. "
            "Pass the input of the run with --input, and the --id-column of the run."
        )
    # A stretch of rows is a table of its own: no request of the run reached beyond it.
    parts = [replace(table, spans=(span,)) for span in _stretches(numbers)]
    drawn = draw([table] if len(numbers) == found.rows else parts, sample)
    return [row.chunk for part in drawn if part.spans for some in part.slices() for row in some]


def _stretches(numbers: Sequence[int]) -> list[Span]:
    """Return the first and last of each stretch of consecutive numbers."""
    found: list[Span] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _check_texts(
    chunks: Sequence[Chunk], texts: Mapping[str, str], table: Table, output: Path
) -> None:
    """Refuse texts that changed since the run: their labels are those of other texts."""
    for chunk in chunks:
        # A cell that a spreadsheet would run may have got an apostrophe in the output.
        if texts.get(chunk.id, chunk.text) not in (chunk.text, f"'{chunk.text}"):
            raise InputError(
                f"Row {shown(chunk.id)} has another text in {table.path} than in {output}. Pass "
                "the input of the run with --input, or label it again."
            )


def _endpoint(
    held: contextlib.ExitStack, facts: RunFacts, wanted: Wanted, label_set: LabelSet
) -> Endpoint:
    """Return where the run was answered; it must be where the audit is.

    Raises:
        ConfigurationError: If it is somewhere else.
    """
    if wanted.local:
        base_url = held.enter_context(local_service(language=facts.language, label_set=label_set))
        endpoint = Endpoint.find(api_key="local", base_url=base_url, host=EMBEDDED)
    elif facts.routes == ("offline",) and wanted.routes is None:
        endpoint = Endpoint.none()
    elif facts.endpoint == EMBEDDED:
        raise ConfigurationError(
            "The run was answered by the local service, so asking another one would compare "
            "rules with a model. Add --local."
        )
    else:
        endpoint = Endpoint.find()
    if endpoint.key_host != without_port(facts.endpoint):
        raise ConfigurationError(
            f"The run was answered by {facts.endpoint}, and the audit would ask {endpoint.host}. "
            "Set OPENAI_BASE_URL as it was for the run, without --local unless the run had it."
        )
    return endpoint


def _analyzer(
    routes: tuple[str, ...],
    models: str | Mapping[str, str] | None,
    facts: RunFacts,
    label_set: LabelSet,
    endpoint: Endpoint,
    settings: Settings,
) -> HybridSemanticAnalyzer:
    tier = facts.service_tier if routes == facts.routes else None
    return HybridSemanticAnalyzer(
        endpoint=endpoint,
        routes=routes,
        model=models,
        label_set=label_set,
        language=facts.language,
        service_tier=tier,
        context=facts.context,
        examples=facts.examples,
        settings=settings,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What an audit found.

    Attributes:
        document: All figures, ready for JSON.
        asked: Each arm that was asked.
        stop_cause: Who or what ended it early, or None.
    """

    document: dict[str, Any]
    asked: tuple[Asked, ...]
    stop_cause: StopCause | None


async def carry_out(audit: Audit, *, on_verdict: Progress | None = None) -> Audited:
    """Ask all arms; after a stop of any kind the result has what was asked before."""
    asked: list[Asked] = []
    left = audit.wanted.budget_usd
    for trial in audit.trials:
        asked += await ask_all(
            trial.arms,
            trial.analyzer,
            topic=audit.topic,
            budget_usd=left,
            on_verdict=on_verdict,
            store=audit.store,
        )
        left = left_of(audit.wanted.budget_usd, asked)
        if asked[-1].stopped:
            break
    if audit.store is not None and not asked[-1].stopped:
        audit.store.end(audit.sources)
    return Audited(
        document=document_of(audit, asked),
        asked=tuple(asked),
        stop_cause=asked[-1].stop_cause,
    )


def document_of(audit: Audit, asked: Sequence[Asked]) -> dict[str, Any]:
    """Return what the audit found, ready for JSON."""
    facts, before = audit.facts, {name: row.labels for name, row in audit.compared.items()}
    models = {model for one in asked for _, model in one.origins}
    is_simulated = audit.is_simulated or bool(models & SIMULATED_MODELS)
    again = next((one.labels for one in asked if one.arm.name == AGAIN), {})
    # The run asked the same requests, so chunks that were alone in an arm shared one there.
    requests = shared_requests(*(arm for trial in audit.trials for arm in trial.arms))
    listed = [trial.analyzer.label_set.keys for trial in audit.trials for _ in trial.arms]
    arms = []
    for one, keys in zip(asked, listed, strict=False):  # an audit that was stopped has fewer
        is_noise = one.arm.name == AGAIN
        beyond = None
        if not is_noise:
            beyond = beyond_noise(before, one.labels, again, requests=requests)
        share = changed(before, one.labels, requests=requests)
        found = {"changed": share, "beyond_noise": beyond, "label_order": list(keys)}
        arms.append(one.figures() | found | {"simulated": is_simulated})
    reused = sum(row.is_reused for row in audit.rows.values())
    return {
        "audit_version": AUDIT_VERSION,
        "kind": "audit",
        "simulated": is_simulated,
        "label_set": {
            "name": audit.label_set.name,
            "version": audit.label_set.version,
            "digest": audit.label_set.digest,
        },
        "run": {
            "routes": list(facts.routes),
            "models": dict(facts.models),
            "endpoint": facts.endpoint,
            "chunks_per_request": facts.chunks_per_request,
            "prompt": facts.prompt,
        },
        "sample": {
            "rows": len(audit.rows),
            "seed": audit.wanted.seed,
            "compared": len(before),
            "reused": reused,
            "without_label": len(audit.rows) - len(before) - reused,
        },
        "arms": arms,
        "bill": bill_of(asked, is_simulated=is_simulated),
        "ledger": None if audit.store is None else str(audit.store.path),
        "stopped": asked[-1].stopped,
    }


def bill_of(asked: Sequence[Asked], *, is_simulated: bool) -> dict[str, Any]:
    """Return the estimate beside the bill, for all arms that were asked whole."""
    whole = [one for one in asked if not one.stopped]
    estimates = [one.estimate.cost_usd for one in whole]
    bills = [one.billed_usd for one in whole]
    guessed = _sum(estimates)
    billed = _sum(bills)
    ratio = billed / guessed if guessed and billed is not None else None
    return {
        "arms": len(whole),
        "estimated_usd": guessed,
        "billed_usd": billed,
        "billed_to_estimated": ratio,
        "estimated_input_tokens": sum(one.estimate.input_tokens for one in whole),
        "billed_input_tokens": sum(one.bill.total.input_tokens for one in whole),
        "estimated_output_tokens": sum(one.estimate.output_tokens for one in whole),
        "billed_output_tokens": sum(one.bill.total.output_tokens for one in whole),
        "billed_usd_of_all_arms": _sum([one.billed_usd for one in asked]),
        "simulated": is_simulated,
    }


def _sum(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return round(sum(known), 6) if len(known) == len(amounts) else None
