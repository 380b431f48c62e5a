"""Label sets: keys, names in four languages, definitions, and which labels may stand together.

Pure but for package data, read once per set. The analyzers load a set; prompt, answer and
evaluation use it. What a valid label is, is decided here and nowhere else.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from analysis.errors import ConfigurationError
from analysis.settings import LANGUAGES

NAME_LANGUAGES = tuple(language for language in LANGUAGES if language != "auto")
"""Languages in which every label has a name."""

_SUFFIX = ".toml"
_SETS = resources.files("analysis.labels") / "sets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One semantic function.

    Attributes:
        key: Stable name in outputs, `snake_case`, never translated.
        names: Language (`en`, `ru`, `fr`, `zh`) -> name for people.
        definition: English; sent to the model with every request.
        aliases: Other spellings under which labelled tables may hold it.
    """

    key: str
    names: Mapping[str, str]
    definition: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """A list of labels and the rules for using them together.

    Attributes:
        name: Name under which `load` finds it.
        version: Moves with every change that users should know of.
        labels: In file order, which is the order of the prompt.
        default: Key of the label for chunks where nothing else is clear.
        max_labels: Most labels that one chunk may have.
        alone: Keys that never take a second label.
        digest: See `_digest`.
    """

    name: str
    version: str
    labels: tuple[Label, ...]
    default: str
    max_labels: int
    alone: frozenset[str]
    digest: str = field(init=False)
    _keys: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _by_key: Mapping[str, Label] = field(init=False, repr=False, compare=False)
    _by_spelling: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keys = tuple(label.key for label in self.labels)
        _check(self, keys)
        object.__setattr__(self, "_keys", keys)
        object.__setattr__(self, "_by_key", {label.key: label for label in self.labels})
        object.__setattr__(self, "_by_spelling", _spellings(self))
        object.__setattr__(self, "digest", _digest(self))

    @classmethod
    def load(cls, name: str) -> LabelSet:
        """Return the set of this name; the same object at every call.

        Raises:
            ConfigurationError: If there is no such set, or its file is broken.
        """
        return _load(name)

    @classmethod
    def parse(cls, text: str, *, source: str) -> LabelSet:
        """Read a set from TOML text.

        Args:
            text: A TOML document with the keys of `sets/ten_functions.toml`.
            source: Name of the file for messages.

        Raises:
            ConfigurationError: If something is missing, doubled or unknown; names file and label.
        """
        try:
            return _read(tomllib.loads(text))
        except tomllib.TOMLDecodeError as broken:
            raise ConfigurationError(f"Label set file {source} is not TOML: {broken}.") from broken
        except ConfigurationError as wrong:
            raise ConfigurationError(f"Label set file {source}: {wrong}") from wrong

    @staticmethod
    def available() -> tuple[str, ...]:
        """Return the names that `load` knows, sorted."""
        files = (file.name for file in _SETS.iterdir() if file.name.endswith(_SUFFIX))
        return tuple(sorted(file.removesuffix(_SUFFIX) for file in files))

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the labels, in file order."""
        return self._keys

    def name_of(self, key: str, language: str) -> str:
        """Return the name of a label for people.

        Raises:
            ConfigurationError: If the key or the language is unknown.
        """
        if language not in NAME_LANGUAGES:
            raise ConfigurationError(_unknown("Language of label names", language, NAME_LANGUAGES))
        if key not in self._by_key:
            raise ConfigurationError(_unknown(f"Label of set {self.name}", key, self.keys))
        return self._by_key[key].names[language]

    def key_of(self, spelling: str) -> str | None:
        """Return the key that a spelling stands for, or None; never guesses.

        Keys, names in all languages and aliases are known, whatever their case, width, spaces,
        underscores or slashes, and with ё or е.
        """
        return self._by_spelling.get(_plain(spelling))

    def allows(self, labels: Sequence[str]) -> bool:
        """Tell whether a chunk may have exactly these labels, the primary one first."""
        count = len(labels)
        if count == 1:
            return labels[0] in self._by_key
        return (
            1 < count <= self.max_labels
            and len(set(labels)) == count
            and all(label in self._by_key for label in labels)
            and self.alone.isdisjoint(labels)
        )


@cache
def _load(name: str) -> LabelSet:
    names = LabelSet.available()
    if name not in names:
        raise ConfigurationError(_unknown("Label set", name, names))
    file = name + _SUFFIX
    label_set = LabelSet.parse((_SETS / file).read_text(encoding="utf-8"), source=file)
    if label_set.name != name:
        raise ConfigurationError(f"Label set file {file} calls its set {label_set.name!r}.")
    return label_set


def _unknown(what: str, value: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(value, allowed, n=1, cutoff=0.0)
    hint = f"; nearest: {near[0]}" if near else ""
    return f"{what} {value!r} not found{hint}. Pass one of: {', '.join(allowed)}."


def _take(table: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    value = table.get(key)
    if not isinstance(value, kind) or isinstance(value, bool) or value in ("", [], {}):
        raise ConfigurationError(f"{where} needs {key!r} ({kind.__name__}), found {value!r}.")
    return value


def _strings(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ConfigurationError(f"{where} needs a list of strings in {key!r}, found {values!r}.")
    return tuple(values)


def _read(table: Mapping[str, Any]) -> LabelSet:
    policy = _take(table, "policy", dict, "the set")
    return LabelSet(
        name=_take(table, "name", str, "the set"),
        version=_take(table, "version", str, "the set"),
        labels=tuple(_read_label(entry) for entry in _take(table, "labels", list, "the set")),
        default=_take(policy, "default", str, "policy"),
        max_labels=_take(policy, "max_labels", int, "policy"),
        alone=frozenset(_strings(policy, "alone", "policy")),
    )


def _read_label(entry: Mapping[str, Any]) -> Label:
    key = _take(entry, "key", str, "a label")
    where = f"label {key!r}"
    names = _take(entry, "names", dict, where)
    return Label(
        key=key,
        names={language: _take(names, language, str, f"{where}, names,") for language in names},
        definition=_take(entry, "definition", str, where),
        aliases=_strings(entry, "aliases", where),
    )


def _check(label_set: LabelSet, keys: Sequence[str]) -> None:
    """Raise ConfigurationError on the first thing that makes the set unusable."""
    for index, label in enumerate(label_set.labels):
        missing = [language for language in NAME_LANGUAGES if language not in label.names]
        if missing:
            raise ConfigurationError(f"label {label.key!r} has no name in {', '.join(missing)}.")
        if label.key in keys[:index]:
            raise ConfigurationError(f"label {label.key!r} occurs twice.")
    for role, key in [("default", label_set.default)] + [
        ("alone", key) for key in sorted(label_set.alone)
    ]:
        if key not in keys:
            raise ConfigurationError(f"policy names the unknown label {key!r} in {role!r}.")
    if label_set.max_labels < 1:
        raise ConfigurationError(f"max_labels must be at least 1, not {label_set.max_labels}.")


def _plain(spelling: str) -> str:
    """Return a spelling without what people write differently: case, width, spaces, signs."""
    folded = unicodedata.normalize("NFKC", spelling).casefold().replace("ё", "е")
    return "".join(sign for sign in folded if sign.isalnum())


def _spellings(label_set: LabelSet) -> dict[str, str]:
    found: dict[str, str] = {}
    for label in label_set.labels:
        for spelling in (label.key, *label.names.values(), *label.aliases):
            owner = found.setdefault(_plain(spelling), label.key)
            if owner != label.key:
                raise ConfigurationError(f"labels {owner!r} and {label.key!r} share {spelling!r}.")
    return found


def _digest(label_set: LabelSet) -> str:
    """Return the sha256, in hex, of what can change a label: key order, definitions, policy.

    All of these reach the model or the check of its answer. Names, aliases and version do not, so a
    corrected translation does not void the answers that are already paid for.
    """
    shape = {
        "labels": [[label.key, label.definition] for label in label_set.labels],
        "default": label_set.default,
        "max_labels": label_set.max_labels,
        "alone": sorted(label_set.alone),
    }
    text = json.dumps(shape, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
