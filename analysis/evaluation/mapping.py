"""Mappings from the labels of a corpus to the keys of a label set, as TOML data.

Pure but for package data. `commands.evaluate` and `benchmarks` load one; `cells` uses it. A file
holds names of labels only, and says where they come from.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from analysis.errors import ConfigurationError
from analysis.labels.label_set import LabelSet
from analysis.labels.spelling import near_hint, near_or_all
from analysis.labels.toml_text import NotToml, as_toml, named, read_toml

_SUFFIX = ".toml"
_FILES = resources.files("analysis.evaluation") / "mappings"
_FIELDS = frozenset({"name", "label_set", "source", "gold", "predicted", "ignore"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """How gold labels of one corpus become keys of one label set.

    Attributes:
        name: Name of the corpus.
        label_set: Name of the label set that the keys belong to.
        source: Where the labels are described.
        gold: Gold label, as `folded` writes it -> key.
        predicted: Key of the output -> key that it counts as; for corpora without that label.
        ignore: Gold labels, folded, whose rows are left out and counted.
    """

    name: str
    label_set: str
    source: str
    gold: Table[str, str]
    predicted: Table[str, str]
    ignore: frozenset[str]

    @staticmethod
    def available() -> tuple[str, ...]:
        """Return the names that `load` knows, sorted."""
        files = (file.name for file in _FILES.iterdir() if file.name.endswith(_SUFFIX))
        return tuple(sorted(name.removesuffix(_SUFFIX) for name in files))

    @classmethod
    def load(cls, name: str) -> Mapping:
        """Return a mapping that comes with the package.

        Raises:
            ConfigurationError: If there is none of this name; names the nearest.
        """
        names = cls.available()
        if name not in names:
            raise ConfigurationError(
                f"Mapping {named(name)} not found{near_hint(name, names)}. Pass one of: "
                f"{', '.join(names)}; or the path of a .toml file."
            )
        file = _FILES / (name + _SUFFIX)
        return cls.parse(file.read_text(encoding="utf-8"), source=name + _SUFFIX)

    @classmethod
    def parse(cls, text: str, *, source: str) -> Mapping:
        """Read a mapping from TOML text.

        Args:
            text: A TOML document with `name`, `label_set`, `source`, a table `gold` of gold label
                = key and, where needed, a table `predicted` of key = key and a list `ignore`.
            source: Name of the file for messages.

        Raises:
            ConfigurationError: If something is missing, unknown or doubled; names file and field.
        """
        try:
            return _read(read_toml(text))
        except NotToml as broken:
            raise ConfigurationError(f"Mapping file {source} is not TOML: {broken}.") from broken
        except ConfigurationError as wrong:
            raise ConfigurationError(f"Mapping file {source}: {wrong}") from wrong

    def check(self, label_set: LabelSet) -> None:
        """Check that every key of the mapping is a key of the set.

        Raises:
            ConfigurationError: If it is another set, or a key is not in it.
        """
        if self.label_set != label_set.name:
            raise ConfigurationError(
                f"Mapping {self.name} is for the label set {self.label_set}, not {label_set.name}. "
                f"Pass --label-set {self.label_set}, or another mapping."
            )
        wanted = (*self.gold.values(), *self.predicted, *self.predicted.values())
        for key in wanted:
            if key not in label_set.keys:
                meant = label_set.key_of(key)
                near = near_or_all(key, label_set.keys) if meant is None else f"nearest: {meant}"
                raise ConfigurationError(
                    f"Mapping {self.name} names {named(key)}, which is no key of the label set "
                    f"{label_set.name}; {near}."
                )


def folded(spelling: str) -> str:
    """Return a gold label without differences of case, width and surrounding spaces."""
    return unicodedata.normalize("NFKC", spelling).strip().casefold()


def _read(table: Table[str, Any]) -> Mapping:
    unknown = sorted(set(table) - _FIELDS)
    if unknown:
        raise ConfigurationError(
            f"unknown field {named(unknown[0])}. The fields are: {', '.join(sorted(_FIELDS))}."
        )
    gold = _keys(table, "gold")
    if not gold:
        raise ConfigurationError("needs a table [gold] with a line per gold label: label = key.")
    ignore = table.get("ignore", [])
    if not isinstance(ignore, list) or not all(isinstance(one, str) for one in ignore):
        raise ConfigurationError(f"'ignore' must be a list of gold labels, not {as_toml(ignore)}.")
    mapping = Mapping(
        name=_text(table, "name"),
        label_set=_text(table, "label_set"),
        source=_text(table, "source"),
        gold=_folded_keys(gold),
        predicted=_keys(table, "predicted"),
        ignore=frozenset(map(folded, ignore)),
    )
    both = sorted(mapping.ignore & set(mapping.gold))
    if both:
        raise ConfigurationError(f"{both[0]!r} is both mapped and ignored. Keep one of the two.")
    return mapping


def _text(table: Table[str, Any], field: str) -> str:
    value = table.get(field)
    if not isinstance(value, str) or not value.strip():
        found = "nothing" if value is None else as_toml(value)
        raise ConfigurationError(
            f'needs a text in {field!r}, found {found}. Write {field} = "...".'
        )
    if not value.isprintable():
        raise ConfigurationError(
            f"has a line break or a control character in {field!r}: {as_toml(value)}. Write it in "
            "one line."
        )
    return value


def _keys(table: Table[str, Any], field: str) -> dict[str, str]:
    values = table.get(field, {})
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values.values()):
        raise ConfigurationError(f'[{field}] must hold lines such as METHODS = "method".')
    return dict(values)


def _folded_keys(gold: Table[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for spelling, key in gold.items():
        if found.setdefault(folded(spelling), key) != key:
            raise ConfigurationError(f"{spelling!r} stands for two keys, but for its case.")
    return found


def fold_all(labels: Sequence[str], mapping: Mapping | None) -> tuple[str, ...]:
    """Return the labels of an output as the corpus can hold them, without repeats."""
    if mapping is None:
        return tuple(labels)
    return tuple(dict.fromkeys(mapping.predicted.get(label, label) for label in labels))
