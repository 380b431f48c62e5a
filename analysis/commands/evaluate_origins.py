"""What `semfn evaluate` takes from the results beside an output: its label set, and notes.

io: reads the results. `evaluate_inputs` calls it. An output without results is evaluated, too; then
nothing is known of how it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from analysis.commands.vote_facts import WAY, VoterFacts, facts_beside
from analysis.errors import ConfigurationError
from analysis.evaluation.mapping import Mapping as LabelMapping
from analysis.labels.label_set import LabelSet

_COMPARED = {
    "prompt": "prompt",
    "context": "neighbours sent along (--context)",
    "chunks_per_request": "chunks in a request",
    "language": "language",
}
"""Entry of the record -> how it is called; routes and models have lines of their own anyway."""


def known_facts(outputs: Sequence[Path], tell: Callable[[str], None]) -> list[VoterFacts]:
    """Return how outputs were made, of those that have results beside them.

    Args:
        outputs: In the order in which they were named.
        tell: Shows why results that are there cannot be used.
    """
    found = []
    for output in outputs:
        try:
            facts = facts_beside(output)
        except ConfigurationError as error:
            tell(str(error))
            continue
        if facts is not None:
            found.append(facts)
    return found


def check_mapping(mapping: LabelMapping, facts: Sequence[VoterFacts]) -> None:
    """Refuse a mapping for another shipped set than that with which an output was labelled.

    Else the labels of the output would be told to be unknown, one by one.

    Raises:
        ConfigurationError: Names both sets.
    """
    for one in facts:
        if one.label_set in LabelSet.available() and one.label_set != mapping.label_set:
            raise ConfigurationError(
                f"Mapping {mapping.name} is for the label set {mapping.label_set}, and "
                f"{one.output} was labelled with {one.label_set}. Pass a mapping for "
                f"{one.label_set}, or an output of {mapping.label_set}."
            )


def notes_on(facts: Sequence[VoterFacts], label_set: LabelSet) -> tuple[str, ...]:
    """Return in what outputs differ from the label set that is loaded, and from each other.

    Args:
        facts: Of one output or two.
        label_set: What their labels are read with.
    """
    notes = [
        f"{one.output} was labelled with {one.label_set} as it was then, which is not "
        f"{label_set.name} {label_set.version} as it is now: another set, or other definitions."
        for one in facts
        if one.digest not in label_set.wordings
    ]
    if len(facts) > 1:
        notes += _differences(facts[0], facts[1])
    return tuple(notes)


def _differences(one: VoterFacts, two: VoterFacts) -> list[str]:
    first, second = (dict(zip(WAY, facts.way, strict=True)) for facts in (one, two))
    found = [
        name
        for entry, name in _COMPARED.items()
        if first[entry] and second[entry] and first[entry] != second[entry]
    ]
    if one.digest != two.digest:
        # Another set is another prompt; the cause is told, not the consequence.
        found = ["label set or its definitions", *(name for name in found if name != "prompt")]
    if one.topic != two.topic:
        found.append("topic")
    if not found:
        return []
    return [
        f"{one.output} and {two.output} were not asked in the same way, so labels may differ for "
        f"that reason. They differ in: {', '.join(found)}."
    ]
