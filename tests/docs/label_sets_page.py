"""Makes docs/reference/label-sets.md; `reference_pages` writes it.

The words stand in `label_sets.toml`, the exact tokens in `prompt_tokens.toml` (see
`prompt_tokens.py`); the rest comes from the code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.labels.label import (
    FEWEST_LABELS,
    MOST_DEFINITION_SIZE,
    MOST_EXAMPLE_SIZE,
    MOST_EXAMPLES,
    MOST_KEY_SIZE,
    MOST_LABELS,
)
from analysis.labels.label_set import NAME_LANGUAGES, REMOVAL, LabelSet
from analysis.labels.policy import MOST_RULES
from analysis.tally import CACHE_PREFIX_TOKENS
from tests.docs.prompt_tokens import TARGET, estimated

SOURCE = Path(__file__).with_name("label_sets.toml")


def label_sets_page(note: str) -> str:
    """Return the page with every label set; `note` says how it is made."""
    exact = tomllib.loads(TARGET.read_text(encoding="utf-8"))
    words = tomllib.loads(SOURCE.read_text(encoding="utf-8"))
    intro = words["intro"].format(languages=_listed(NAME_LANGUAGES))
    rules = words["rules"].format(
        fewest=FEWEST_LABELS,
        most=MOST_LABELS,
        most_rules=MOST_RULES,
        key_size=MOST_KEY_SIZE,
        definition_size=MOST_DEFINITION_SIZE,
    )
    parts = ["# Label sets\n", note, intro, _overview(), rules, _tokens(exact), words["answers"]]
    parts += [words["examples"].format(**_bounds()), _shown(exact)]
    notes = words["notes"]
    parts += [_set(LabelSet.load(name), notes.get(name)) for name in LabelSet.available()]
    return "\n".join(parts)


def _overview() -> str:
    lines = ["| set | what it is for | labels | per chunk |", "| --- | --- | --- | --- |"]
    for name in LabelSet.available():
        label_set = LabelSet.load(name)
        most = "1" if label_set.max_labels == 1 else f"1 to {label_set.max_labels}"
        purpose = LabelSet.text_of(name).splitlines()[0].removeprefix("# ").rstrip(".")
        lines.append(f"| [`{name}`](#{name}) | {purpose} | {len(label_set.keys)} | {most} |")
    return "\n".join(lines) + "\n"


_CELLS = ("envelope", "overhead", "in_context", "as_choices", "answer")


def _tokens(exact: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        "| set | instructions and schema, a request | around each text | all input beside the "
        "text, a chunk | the same in a document | the same on `decisions` | answer, a chunk |",
        "| --- " * 7 + "|",
    ]
    for name in LabelSet.available():
        count, guess = exact[name], estimated(LabelSet.load(name))
        once = f"{count['instructions'] + count['schema']} "
        once += f"({guess['instructions'] + guess['schema']:.0f})"
        cells = [f"{count[key]} ({guess[key]})" for key in _CELLS]
        lines.append(f"| `{name}` | {once} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _bounds() -> dict[str, int]:
    return {
        "most": MOST_EXAMPLES,
        "size": MOST_EXAMPLE_SIZE,
        "least": CACHE_PREFIX_TOKENS,
    }


def _shown(exact: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what is told once with examples, by set, and where that is cached."""
    lines = [
        "| set | without | with examples | cached | with examples, on `decisions` | cached |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in LabelSet.available():
        count, guess = exact[name], estimated(LabelSet.load(name))
        cells = [f"{count['instructions'] + count['schema']}"]
        for key in ("shown", "shown_choices"):
            is_cached = "yes" if count[key] >= CACHE_PREFIX_TOKENS else "no"
            cells += [f"{count[key]} ({guess[key]:.0f})", is_cached]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys) or "none"


def _set(label_set: LabelSet, note: str | None) -> str:
    """Return the section of one set."""
    residual = label_set.default if label_set.residual is None else label_set.residual
    pairs = [f"`{first}` with `{second}`" for first, second in label_set.pairs]
    kinds = [f"{kind}: {_listed(keys)}" for kind, keys in label_set.kinds.items()]
    headings = _listed([residual] if residual else [])
    topic = "needed" if label_set.needs_topic else "optional"
    lines = [
        f"## {label_set.name}\n",
        f"Version {label_set.version}, at most {label_set.max_labels} per chunk, default "
        f"`{label_set.default}`; headings, captions and very short chunks: {headings}; topic "
        f"{topic}.",
        f"Alone: {_listed(sorted(label_set.alone))}.",
    ]
    lines += [f"Pairs: {', '.join(pairs)}."] if pairs else []
    lines += [f"Kinds: {'; '.join(kinds)}."] if kinds else []
    lines += [f"Main label: {label_set.criterion}."] if label_set.criterion != REMOVAL else []
    lines += [f"Also told: {rule}" for rule in label_set.rules]
    lines += [note] if note else []
    columns = " | ".join(NAME_LANGUAGES)
    lines += ["", f"| key | {columns} | definition | not this |", "| --- " * 7 + "|"]
    for label in label_set.labels:
        names = " | ".join(label_set.name_of(label.key, one) for one in NAME_LANGUAGES)
        lines.append(f"| `{label.key}` | {names} | {label.definition} | {label.not_this} |")
    return "\n".join(lines) + "\n"
