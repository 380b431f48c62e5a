"""One label: its key, its names, what the model is told of it, and whether all that can be used.

Pure. `label_set` builds on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.errors import ConfigurationError
from analysis.labels.set_text import Flaw
from analysis.labels.spelling import Readings, plain
from analysis.labels.toml_text import as_toml, named, sign_name
from analysis.settings import LANGUAGES

NAME_LANGUAGES = tuple(language for language in LANGUAGES if language != "auto")
"""Languages in which a label may have a name and a definition."""

FEWEST_LABELS = 2
MOST_LABELS = 40
"""Every definition is sent with every request: forty of them are some 2,000 tokens."""

MOST_KEY_SIZE = 40
MOST_DEFINITION_SIZE = 400
"""Characters of what the model is told of a label. The longest of the shipped sets has 215."""

MOST_EXAMPLES = 5
MOST_EXAMPLE_SIZE = 300
"""Examples of a label, and characters of one. The longest of the shipped sets has 181."""

_KEY = re.compile(r"[a-z][a-z0-9_]*")
_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Also signs that turn the direction of writing: a terminal shows something else than is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One semantic function.

    Attributes:
        key: Stable name in outputs, `snake_case`, never translated.
        names: Language (`en`, `ru`, `fr`, `zh`) -> name for people; any of them may be absent.
        definition: English; sent to the model with every request.
        not_this: English; what is often taken for this label and is another one. Sent after the
            definition.
        aliases: Other spellings under which labelled tables may hold it.
        definitions: Language -> definition with all that belongs to it; see `in_language`.
        examples: Texts that do what the label says; told only where that is asked for.
    """

    key: str
    names: Mapping[str, str]
    definition: str
    not_this: str = ""
    aliases: tuple[str, ...] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What the model is told of the label."""
        return f"{self.definition} {self.not_this}" if self.not_this else self.definition


def is_key(text: str) -> bool:
    """Tell whether a text can be the key of a label or the name of a set."""
    return _KEY.fullmatch(text) is not None and len(text) <= MOST_KEY_SIZE


def _odd_letter(key: str) -> str:
    """Return words that name the first sign that looks like one of a key, and is another."""
    odd = next((sign for sign in key if not " " <= sign <= "~"), None)
    return "" if odd is None else f": {sign_name(odd)} stands in it"


def check_language(language: str) -> None:
    """Raise ConfigurationError if labels cannot have names in this language."""
    if language not in NAME_LANGUAGES:
        raise ConfigurationError(
            f"Language of labels {language!r} is unknown. Pass one of: {', '.join(NAME_LANGUAGES)}."
        )


def check_count(count: int) -> None:
    """Raise Flaw if the file of a set has too few labels or too many."""
    if not FEWEST_LABELS <= count <= MOST_LABELS:
        raise Flaw(
            f"the set has {count} labels; {FEWEST_LABELS} to {MOST_LABELS} can be used. "
            + ("Add one." if count < FEWEST_LABELS else "Split it into two sets."),
            field="labels",
        )


def check_labels(labels: Sequence[Label]) -> None:
    """Raise Flaw on the first label that cannot be used."""
    keys = [label.key for label in labels]
    for place, label in enumerate(labels):
        if not is_key(label.key):
            raise Flaw(
                f"the key {named(label.key)} cannot be used{_odd_letter(label.key)}. Write up to "
                f"{MOST_KEY_SIZE} small "
                "Latin letters, digits and underscores, a letter first; names take any letters.",
                label=place,
                field="key",
            )
        if label.key in keys[:place]:
            raise Flaw(
                f"label {label.key!r} occurs twice. Rename or remove one.", label=place, field="key"
            )
        _check_texts(label, place)
    _check_examples(labels)


def _check_examples(labels: Sequence[Label]) -> None:
    """Raise Flaw on the first example that is too long, one too many, or that of another label."""
    owners: dict[str, str] = {}
    for place, label in enumerate(labels):
        for text in label.examples:
            _check_line(label, place, "examples", text)
            owner = owners.setdefault(text.strip(), label.key)
            problem = ""
            if not text.strip() or len(text) > MOST_EXAMPLE_SIZE:
                problem = (
                    f"an example of label {label.key!r} has {len(text)} characters, and 1 to "
                    f"{MOST_EXAMPLE_SIZE} can be used: {text[:MOST_KEY_SIZE]!r}. Take a shorter "
                    "text; it is paid for in every request that tells it."
                )
            elif owner != label.key:
                problem = (
                    f"labels {owner!r} and {label.key!r} have the same example "
                    f"{text[:MOST_KEY_SIZE]!r}. Remove it from one of them."
                )
            elif len(label.examples) > MOST_EXAMPLES:
                problem = (
                    f"label {label.key!r} has {len(label.examples)} examples, more than "
                    f"{MOST_EXAMPLES}. Keep the clearest ones."
                )
            if problem:
                raise Flaw(problem, label=place, field="examples")


def _check_texts(label: Label, place: int) -> None:
    for name in ("names", "definitions"):
        for language, text in getattr(label, name).items():
            if language not in NAME_LANGUAGES:
                raise Flaw(
                    f"label {label.key!r} has {name} in the unknown language {named(language)}. "
                    f"Use {', '.join(NAME_LANGUAGES)}; further names can be aliases.",
                    label=place,
                    field=name,
                )
            _check_line(label, place, name, text)
    for alias in label.aliases:
        _check_line(label, place, "aliases", alias)
    _check_line(label, place, "definition", label.definition)
    _check_line(label, place, "not_this", label.not_this)
    if len(label.told) > MOST_DEFINITION_SIZE:
        raise Flaw(
            f"the definition of label {label.key!r} has {len(label.told)} characters with its "
            f"not_this, more than {MOST_DEFINITION_SIZE}. Shorten it: it is paid for in every "
            "request.",
            label=place,
            field="definition",
        )
    told = [("definition", label.definition)]
    told += [("not_this", label.not_this)] if label.not_this else []
    told += [(f"definitions.{language}", text) for language, text in label.definitions.items()]
    for name, text in told:
        _check_told(label, place, name, text)


def has_words(text: str) -> bool:
    """Tell whether a text has a letter or a digit, so that a model can read something in it."""
    return any(sign.isalnum() for sign in text)


def _check_told(label: Label, place: int, name: str, text: str) -> None:
    """Raise Flaw if the model would be told nothing, or too much."""
    if not has_words(text):
        raise Flaw(
            f"label {label.key!r} has no words in {name!r}, found {as_toml(text)}. Write what the "
            "chunk does, or remove the field if it may be left out.",
            label=place,
            field=name,
        )
    if len(text) > MOST_DEFINITION_SIZE:
        raise Flaw(
            f"label {label.key!r} has {len(text)} characters in {name!r}, more than "
            f"{MOST_DEFINITION_SIZE}. Shorten it: it is paid for in every request.",
            label=place,
            field=name,
        )


def is_line(text: str) -> bool:
    """Tell whether a text has neither line breaks nor other control characters."""
    return _BREAK.search(text) is None


def _check_line(label: Label, place: int, name: str, text: str) -> None:
    if not is_line(text):
        raise Flaw(
            f"label {label.key!r} has a line break or a control character in "
            f"{name!r}. Write it in one line.",
            label=place,
            field=name,
        )


def spellings(labels: Sequence[Label]) -> dict[str, str]:
    """Return each way to write a label, made plain -> its key.

    Raises:
        Flaw: If two labels share one.
    """
    found: dict[str, str] = {}
    for place, label in enumerate(labels):
        for role, spelling in _written(label):
            owner = found.setdefault(plain(spelling), label.key)
            if owner != label.key or not plain(spelling):
                raise Flaw(
                    f"labels {owner!r} and {label.key!r} share {named(spelling)}. Give one of them "
                    "another name."
                    if plain(spelling)
                    else f"label {label.key!r} has a name without letters: {named(spelling)}. "
                    "Write its name, or remove it.",
                    label=place,
                    field=role,
                )
    return found


def readings(labels: Sequence[Label]) -> Readings:
    """Return what reads the spellings that `spellings` does not have."""
    return Readings((spelling, label.key) for label in labels for _, spelling in _written(label))


def _written(label: Label) -> Iterator[tuple[str, str]]:
    """Yield field and text of each way to write a label."""
    yield "key", label.key
    for field_, texts in (("names", label.names.values()), ("aliases", label.aliases)):
        for text in texts:
            yield field_, text
