"""What the results beside an output say of how it was made, as far as votes need it.

io: reads the results. `vote_inputs` and `evaluate_origins` call it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from analysis.errors import ConfigurationError
from analysis.labels.label_set import LabelSet
from analysis.pipeline.dialect import cause
from analysis.pipeline.places import RESULTS
from analysis.settings import DEFAULT_LABEL_SET

WAY = ("endpoint", "routes", "models", "chunks_per_request", "context", "prompt", "language")
"""Entries of the record that are equal where the same was asked in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoterFacts:
    """How an output was made.

    Attributes:
        output: The output.
        label_set: Name of the label set, or its file.
        digest: What the labels of the set mean; see `LabelSet.digest`.
        topic: Digest of the topic of the run; empty where there was none or it is not known.
        way: How was asked, to be compared.
        taken_over: Labels that came from the ledger of another run.
    """

    output: Path
    label_set: str
    digest: str
    topic: str
    way: tuple[str, ...]
    taken_over: int = 0


def facts_beside(output: Path) -> VoterFacts | None:
    """Return how an output was made, or None where no results lie beside it.

    Raises:
        ConfigurationError: If there are some and they cannot be read.
    """
    own, shared = output.with_name(f"{output.name}.{RESULTS}"), output.with_name(RESULTS)
    for path in (own, shared):
        if path.exists():
            document = _document(path)
            names = [Path(name).name for name in document.get("outputs") or ()]
            # Results of several outputs stand in a folder where other files may stand, too.
            if path == own or output.name in names:
                return _facts(document, path, output)
    return None


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        why = cause(error) if isinstance(error, OSError) else "it is no JSON"
        raise ConfigurationError(
            f"Cannot read {path}: {why}. Make it again by the command of that run, or move it "
            "away; then --label-set says what the labels are."
        ) from error
    return document if isinstance(document, dict) else {}


def _facts(document: Mapping[str, Any], path: Path, output: Path) -> VoterFacts:
    try:
        record = document["record"]
        return VoterFacts(
            output=output,
            label_set=record.get("label_set_file") or record["label_set"].rpartition(" ")[0],
            digest=record["label_set_digest"],
            topic=record.get("topic_digest", ""),
            way=tuple(str(record.get(name, "")) for name in WAY),
            taken_over=int(document.get("taken_over", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} does not tell the label set of {output}. Make it again by the command of that "
            "run, or move it away; then --label-set says what the labels are."
        ) from error


def common_label_set(named: str | None, facts: Sequence[VoterFacts]) -> LabelSet:
    """Return the label set of all outputs, however its labels were told to the models.

    Args:
        named: As the user named it, or None.
        facts: Of the outputs that have results beside them.

    Raises:
        ConfigurationError: If two outputs have different sets, or another one than is named or
            than the file holds now, or there is no such set.
    """
    label_set = chosen_label_set(named, facts)
    wordings = label_set.wordings
    if all(one.digest in wordings for one in facts):
        return label_set
    for one, two in pairwise(facts):
        if one.digest != two.digest:
            raise ConfigurationError(
                f"{one.output} was labelled with the set {one.label_set}, {two.output} with "
                f"{two.label_set}{_changed(one, two)}. Labels of different sets cannot be counted "
                "together: name outputs of one set."
            )
    cure = (
        f"Leave --label-set {named} out."
        if named is not None
        else "Name the file as it was with --label-set, or label anew."
    )
    raise ConfigurationError(
        f"{facts[0].output} was labelled with another set than {label_set.name} "
        f"{label_set.version} is now. {cure}"
    )


def _changed(one: VoterFacts, two: VoterFacts) -> str:
    return " with other definitions" if one.label_set == two.label_set else ""


def chosen_label_set(named: str | None, facts: Sequence[VoterFacts]) -> LabelSet:
    """Return the label set: as named, else that of the first output, else the usual one.

    Raises:
        ConfigurationError: If there is no such set.
    """
    if named is not None or not facts:
        return LabelSet.load(named or DEFAULT_LABEL_SET)
    try:
        return LabelSet.load(facts[0].label_set)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error} {facts[0].output} was labelled with it; name it with --label-set."
        ) from error


def notes_on(facts: Sequence[VoterFacts]) -> list[str]:
    """Return what makes the opinions of outputs worth less, one sentence each."""
    notes = [
        f"{one.output} and {two.output} were asked in the same way (routes, models, packing and "
        "prompt), so they are hardly two opinions."
        for one, two in combinations(facts, 2)
        if one.way == two.way
    ]
    notes += [
        f"{one.taken_over:,} labels of {one.output} came from the ledger of another run (--reuse). "
        "Where that run votes, too, they are no second opinion."
        for one in facts
        if one.taken_over
    ]
    topics = {one.topic for one in facts if one.topic}
    if len(topics) > 1:
        notes.append("The outputs were labelled with different topics.")
    return notes
