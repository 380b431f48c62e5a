"""Label sets: keys, names in four languages, definitions, and which labels may stand together.

Pure but for package data, read once per set; the file of a user is read by `set_file`. The
analyzers load a set; prompt, answer and evaluation use it. What a valid label is, is decided here
and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources

from analysis.errors import ConfigurationError
from analysis.labels.label import (
    MOST_KEY_SIZE,
    check_count,
    check_labels,
    check_language,
    is_key,
    readings,
    spellings,
)
from analysis.labels.label import NAME_LANGUAGES as NAME_LANGUAGES
from analysis.labels.label import Label as Label
from analysis.labels.policy import (
    check_criterion,
    check_kinds,
    check_pairs,
    check_rules,
    check_together,
)
from analysis.labels.set_text import Flaw, fields_of, line_of
from analysis.labels.spelling import Readings, near_hint, near_or_all, plain
from analysis.labels.toml_text import NotToml, as_toml, named

LABELS_PER_CHUNK = 2
"""An output row has room for two labels."""

REMOVAL = "the function whose removal would cost the reader most"
"""Tells the main label from the others, in the words for the model, unless a set has other ones."""

_SUFFIX = ".toml"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""Without spaces: records of runs have name and version in one text, with a space between them."""

_SETS = resources.files("analysis.labels") / "sets"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """A list of labels and the rules for using them together.

    Of two labels on one chunk, a pair in `pairs` is what the model is told to give, a pair in
    `forbidden` makes its answer about the chunk invalid, and any other pair is kept as it comes;
    where the second label is merely the runner-up of one question, it must be one of `pairs`.

    Attributes:
        name: Name under which `load` finds it.
        version: Moves with every change that users should know of.
        labels: In file order, which is the order of the prompt.
        default: Key of the label for chunks where nothing else is clear.
        max_labels: Most labels that one chunk may have, 1 or 2.
        alone: Keys that never take a second label.
        residual: Key of the label for headings, captions and very short chunks; "" for no such
            rule, None for the default.
        rules: Further rules for the model, one sentence each.
        criterion: Which of the labels that apply is the main one, in the words for the model.
        needs_topic: The labels say what a chunk does for a topic, so a file has to tell one.
        kinds: Name of a kind -> the keys of its labels, to write pairs shorter.
        pairs: Keys or kinds whose labels go together; where a pair of kinds is unclear, the first
            one is the main label.
        forbidden: Pairs of keys that may not stand together.
        definition_language: Language of the definitions.
        shows_examples: The model is told the examples of the labels, too; see `with_examples`.
        digest: See `_digest`.
    """

    name: str
    version: str
    labels: tuple[Label, ...]
    default: str
    max_labels: int
    alone: frozenset[str]
    residual: str | None = None
    rules: tuple[str, ...] = ()
    criterion: str = REMOVAL
    needs_topic: bool = True
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pairs: tuple[tuple[str, str], ...] = ()
    forbidden: frozenset[frozenset[str]] = frozenset()
    definition_language: str = "en"
    shows_examples: bool = False
    digest: str = field(init=False)
    _keys: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _spellings: frozenset[str] = field(init=False, repr=False, compare=False)
    _by_key: Mapping[str, Label] = field(init=False, repr=False, compare=False)
    _by_spelling: Mapping[str, str] = field(init=False, repr=False, compare=False)
    _readings: Readings = field(init=False, repr=False, compare=False)
    _favoured: frozenset[frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        keys = tuple(label.key for label in self.labels)
        check_labels(self.labels)
        _check_policy(self, keys)
        object.__setattr__(self, "_keys", keys)
        object.__setattr__(self, "_spellings", _spellings(self.labels))
        object.__setattr__(self, "_by_key", {label.key: label for label in self.labels})
        object.__setattr__(self, "_by_spelling", spellings(self.labels))
        object.__setattr__(self, "_readings", readings(self.labels))
        object.__setattr__(self, "_favoured", _favoured(self))
        object.__setattr__(self, "digest", _digest(self))

    @classmethod
    def load(cls, name: str) -> LabelSet:
        """Return the set of this name, the same object at every call, or the set in this file.

        A name that ends in `.toml` or holds a slash or a backslash is the path of a file, and
        nothing else; any other name is that of a shipped set, and nothing else.

        Raises:
            ConfigurationError: If there is no such set or file, or the file is broken.
        """
        if name.endswith(_SUFFIX) or "/" in name or "\\" in name:
            from analysis.labels.set_file import read_set_file

            return cls.parse(read_set_file(name), source=name)
        return _load(name)

    @classmethod
    def parse(cls, text: str, *, source: str) -> LabelSet:
        """Read a set from TOML text.

        Args:
            text: A TOML document with the fields of `sets/ten_functions.toml`.
            source: Name of the file for messages.

        Raises:
            ConfigurationError: If something is missing, doubled, unknown or out of bounds; names
                file, line and label, and what would do.
        """
        try:
            found = _read(text)
            _refuse_shipped_name(found)
        except NotToml as broken:
            raise ConfigurationError(
                f"Label set file {source} is not TOML: {broken}. A text stands in straight quotes, "
                "and each label begins with [[labels]]."
            ) from broken
        except Flaw as flaw:
            line = line_of(text, flaw)
            raise ConfigurationError(f"Label set file {source}, line {line}: {flaw}") from flaw
        return found

    @staticmethod
    def available() -> tuple[str, ...]:
        """Return the names of the shipped sets, sorted."""
        files = (file.name for file in _SETS.iterdir() if file.name.endswith(_SUFFIX))
        return tuple(sorted(file.removesuffix(_SUFFIX) for file in files))

    @staticmethod
    def text_of(name: str) -> str:
        """Return the TOML document of a shipped set, to begin an own one with.

        Raises:
            ConfigurationError: If there is no such set.
        """
        names = LabelSet.available()
        if name not in names:
            raise ConfigurationError(
                f"Label set {named(name)} not found{near_hint(name, names)}. Pass one of: "
                f"{', '.join(names)}, or the path of a {_SUFFIX} file."
            )
        return (_SETS / (name + _SUFFIX)).read_text(encoding="utf-8")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the labels, in file order."""
        return self._keys

    @property
    def spellings(self) -> frozenset[str]:
        """Keys, names in all languages and aliases, as they are written in the file."""
        return self._spellings

    def name_of(self, key: str, language: str) -> str:
        """Return the name of a label for people: in English, else its key, where it has no other.

        Raises:
            ConfigurationError: If the key or the language is unknown.
        """
        check_language(language)
        if key not in self._by_key:
            raise ConfigurationError(
                f"Label {named(key)} of set {self.name} not found{near_hint(key, self.keys)}. "
                f"Pass one of: {', '.join(self.keys)}."
            )
        names = self._by_key[key].names
        return names.get(language) or names.get("en") or key

    def unnamed(self, language: str) -> tuple[str, ...]:
        """Return the keys of the labels that have no name in a language, in file order."""
        return tuple(label.key for label in self.labels if language not in label.names)

    def in_language(self, language: str) -> LabelSet:
        """Return the set with the definitions of a language, for the model to read.

        How definitions in another language than English change the labels was not measured. The
        digest is another one, so no answer of the one is taken for an answer of the other.

        Raises:
            ConfigurationError: If the language is unknown or a label has no definition in it.
        """
        check_language(language)
        if language == self.definition_language:
            return self
        missing = [label.key for label in self.labels if language not in label.definitions]
        if missing:
            raise ConfigurationError(
                f"Label set {self.name} has no definitions in {language!r} for "
                f"{', '.join(missing)}. Add them to the file as definitions = {{ {language} = "
                '"..." }, or leave the definitions in English.'
            )
        labels = (
            replace(label, definition=label.definitions[language], not_this="")
            for label in self.labels
        )
        return replace(self, labels=tuple(labels), definition_language=language)

    @property
    def wordings(self) -> frozenset[str]:
        """Digests of all ways in which these labels can be told: other words, the same labels.

        These are the languages that all definitions have, each with examples and without.
        """
        known = set.intersection(*(set(label.definitions) for label in self.labels))
        told = [self.in_language(one) for one in {self.definition_language, *known}]
        if all(label.examples for label in self.labels):
            told += [one.with_examples() for one in told]
        return frozenset(one.digest for one in told)

    def with_examples(self) -> LabelSet:
        """Return the set whose labels are told with their examples, for the model to read.

        How examples change the labels was not measured. The digest is another one, so no answer of
        the one is taken for an answer of the other; examples that are not told are in no digest.

        Raises:
            ConfigurationError: If a label has none.
        """
        if missing := [label.key for label in self.labels if not label.examples]:
            raise ConfigurationError(
                f"Label set {self.name} has no examples for {', '.join(missing)}. Add them to the "
                'file as examples = ["..."], or leave the option examples out.'
            )
        return self if self.shows_examples else replace(self, shows_examples=True)

    def relisted(self, rng: random.Random) -> LabelSet:
        """Return the set with its labels listed in another order, none where it was.

        What they mean and which go together stays. The digest is another one, so no answer of the
        one is taken for an answer of the other.

        Args:
            rng: Draws the order, by Sattolo's algorithm: one of those that are a single cycle.
        """
        labels = list(self.labels)
        for last in range(len(labels) - 1, 0, -1):
            other = rng.randrange(last)
            labels[last], labels[other] = labels[other], labels[last]
        return replace(self, labels=tuple(labels))

    def key_of(self, spelling: str) -> str | None:
        """Return the key that a spelling stands for, or None; never guesses.

        Keys, names in all languages and aliases are known, in any of the ways to write them that
        `spelling.plain` makes equal, and else those that `spelling.Readings` finds for one label.
        """
        return self._by_spelling.get(plain(spelling)) or self._readings.key_of(spelling)

    def resolve(self, spelling: str) -> str:
        """Return the key that a spelling stands for; see `key_of`.

        Raises:
            ConfigurationError: If it stands for none; names the nearest label, which is not taken.
        """
        key = self.key_of(spelling)
        if key is None:
            hint = near_hint(plain(spelling), self._by_spelling)
            raise ConfigurationError(
                f"Label {named(spelling)} is none of the set {self.name}{hint}. Write a key "
                f"({', '.join(self.keys)}), a name of one in {', '.join(NAME_LANGUAGES)}, or an "
                "alias that semfn label-sets show prints."
            )
        return key

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
            and frozenset(labels) not in self.forbidden
        )

    def favours(self, labels: Sequence[str]) -> bool:
        """Tell whether the labels are allowed and, if two, are one of the pairs that the set names.

        A set that names no pairs favours no two labels.
        """
        return self.allows(labels) and (len(labels) == 1 or frozenset(labels) in self._favoured)


@cache
def _load(name: str) -> LabelSet:
    label_set = _read(LabelSet.text_of(name))
    if label_set.name != name:
        raise ConfigurationError(f"The shipped set {name!r} calls itself {label_set.name!r}.")
    return label_set


def _read(text: str) -> LabelSet:
    fields = fields_of(text)
    check_count(len(fields["labels"]))
    return LabelSet(**fields | {"labels": tuple(Label(**label) for label in fields["labels"])})


def _refuse_shipped_name(label_set: LabelSet) -> None:
    """Raise Flaw if the set has the name of a shipped one and is another one."""
    name = label_set.name
    has_examples = any(label.examples for label in label_set.labels)
    if name in LabelSet.available() and _unnamed(_load(name), has_examples) != _unnamed(label_set):
        raise Flaw(
            f"the set calls itself {name!r}, as a set of this package does, and differs from it. "
            "Give it a name of its own.",
            field="name",
        )


def _unnamed(label_set: LabelSet, has_examples: bool = True) -> LabelSet:
    """Return a set without all that may differ under one name.

    These are names and aliases of labels, and examples if the other set has none at all.
    """
    labels = (
        replace(one, names={}, aliases=(), examples=one.examples if has_examples else ())
        for one in label_set.labels
    )
    return replace(label_set, labels=tuple(labels))


def _check_policy(label_set: LabelSet, keys: Sequence[str]) -> None:
    """Raise Flaw on the first rule of the policy that cannot be followed."""
    if not is_key(label_set.name):
        raise Flaw(
            f"the set cannot be called {named(label_set.name)}. Write up to {MOST_KEY_SIZE} small "
            "Latin letters, digits and underscores, a letter first.",
            field="name",
        )
    version = label_set.version
    if not _VERSION.fullmatch(version) or len(version) > MOST_KEY_SIZE:
        raise Flaw(
            f"the version cannot be {named(version)}. Write up to {MOST_KEY_SIZE} Latin letters, "
            'digits and the signs . _ + -, such as version = "2".',
            field="version",
        )
    if not 1 <= label_set.max_labels <= LABELS_PER_CHUNK:
        raise Flaw(
            f"max_labels must be 1 or {LABELS_PER_CHUNK}, not {as_toml(label_set.max_labels)}. "
            "Write one of the two.",
            field="max_labels",
        )
    check_rules(label_set.rules)
    check_criterion(label_set.criterion)
    _check_names(label_set, keys)
    check_kinds(label_set.kinds, keys)
    check_pairs(label_set.pairs, keys, label_set.kinds, label_set.max_labels)
    if label_set.max_labels > 1:
        check_together(
            keys,
            alone=label_set.alone,
            forbidden=label_set.forbidden,
            favoured=_favoured(label_set),
        )


def _check_names(label_set: LabelSet, keys: Sequence[str]) -> None:
    """Raise Flaw on the first key that the policy names and the set does not have."""
    pairs = [("default", label_set.default), ("residual", label_set.residual or label_set.default)]
    pairs += [("alone", key) for key in sorted(label_set.alone)]
    pairs += [("forbidden", key) for pair in label_set.forbidden for key in sorted(pair)]
    for role, name in pairs:
        if name not in keys:
            raise Flaw(
                f"policy names the unknown label {named(name)} in {role!r}; "
                f"{near_or_all(name, keys)}. Write a key of the set.",
                field=role,
            )


def _spellings(labels: Sequence[Label]) -> frozenset[str]:
    own = ((label.key, *label.names.values(), *label.aliases) for label in labels)
    return frozenset(spelling for some in own for spelling in some)


def _favoured(label_set: LabelSet) -> frozenset[frozenset[str]]:
    """Return the pairs of keys that `pairs` stands for."""

    def members(name: str) -> tuple[str, ...]:
        return label_set.kinds.get(name, (name,))

    return frozenset(
        frozenset((one, other))
        for first, second in label_set.pairs
        for one in members(first)
        for other in members(second)
        if one != other
    )


def _digest(label_set: LabelSet) -> str:
    """Return the sha256, in hex, of what a label means: all that decides what is asked or accepted.

    That is everything but names, aliases and version, so a corrected translation does not void the
    answers that are already paid for; examples where they are told. A part that a set does not have
    is left out, so that a new kind of part leaves the digests of sets without it alone.
    """
    has_residual = label_set.residual not in (None, label_set.default)
    optional: dict[str, object] = {
        "forbidden": sorted(map(sorted, label_set.forbidden)),
        "residual": [label_set.residual] if has_residual else [],
        "rules": label_set.rules,
        "criterion": "" if label_set.criterion == REMOVAL else label_set.criterion,
        "topic": "" if label_set.needs_topic else "optional",
        "kinds": label_set.kinds,
        "pairs": label_set.pairs,
        "examples": (
            [label.examples for label in label_set.labels] if label_set.shows_examples else []
        ),
    }
    shape: dict[str, object] = {
        "labels": [[label.key, label.told] for label in label_set.labels],
        "default": label_set.default,
        "max_labels": label_set.max_labels,
        "alone": sorted(label_set.alone),
    } | {name: part for name, part in optional.items() if part}
    text = json.dumps(shape, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
