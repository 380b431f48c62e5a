"""How `semfn export` writes labels: by their keys, or by their names in a language.

io: reads a ledger, and the file of a label set. `export` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from analysis.errors import ConfigurationError
from analysis.labels.label_set import LabelSet
from analysis.pipeline.ledger_reading import reading


def names_for(ledger: Path, language: str | None, label_set: str | None) -> Mapping[str, str]:
    """Return key -> name of the labels of a ledger; nothing where keys are wanted.

    A ledger holds the digests of its label sets, not their names, so a set that does not come with
    the package has to be given.

    Args:
        ledger: An existing ledger.
        language: Of the names, or None for keys.
        label_set: Name or file of the set that the runs of the ledger had, or None.

    Raises:
        ConfigurationError: If the set is not known, or given without a language.
        LedgerError: If the ledger cannot be read.
    """
    if language is None:
        if label_set is not None:
            raise ConfigurationError(
                "--label-set says whose names are written. Pass --label-names as well."
            )
        return {}
    digests = _digests(ledger)
    if label_set is None:
        found = [one for one in map(LabelSet.load, LabelSet.available()) if digests & one.wordings]
        if not found:
            raise ConfigurationError(
                f"{ledger} was labelled with a label set that does not come with semfn, or in "
                "another version of it. Pass --label-set with its name or file, whose names are "
                "written."
            )
    else:
        found = [LabelSet.load(label_set)]
    return {key: one.name_of(key, language) for one in found for key in one.keys}


def _digests(ledger: Path) -> set[str]:
    """Return the digests of the label sets of the last runs over each input."""
    with reading(ledger) as held:
        facts = [held.last_facts(source) or {} for source in held.sources()]
    return {one["label_set"] for one in facts if "label_set" in one}
