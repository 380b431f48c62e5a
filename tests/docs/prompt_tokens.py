"""Counts the tokens of the prompts with the vocabulary o200k_base; writes prompt_tokens.toml.

    uv run --no-project --with bpe-openai --with msgspec python -m tests.docs.prompt_tokens

The package `bpe-openai` is not among the dependencies: the counts are written down, and
`test_label_sets_page.py` says when they are older than the prompts.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase

from analysis.labels.label_set import LabelSet
from analysis.labels.prompt import PromptBuilder
from analysis.labels.tokens import estimate
from analysis.records import Ask, Chunk, Item, Pack, Place

TARGET = Path(__file__).with_name("prompt_tokens.toml")
CHUNKS = 20
DRAWS = 50
TEXT = "A plain sentence of the usual length, without anything special in it."
TOPIC = "cycling in cities"
PLACE = Place(number=31, total=80, before=(" ".join([TEXT] * 6),), after=(" ".join([TEXT] * 6),))
Count = Callable[[str], int]


def counts(label_set: LabelSet, count: Count) -> dict[str, float]:
    """Return tokens of a request for twenty chunks, by a counter.

    Returns:
        `instructions` and `schema` in a request; `envelope` (ids, field names, topic) and `answer`
        for each chunk; `overhead` for each chunk: all input beside the texts. `in_context` is the
        overhead of chunks in the middle of a document, with a text of some 85 tokens before and
        after them. `choice_instructions` and `as_choices` are instructions and overhead of the
        choice form, without context; a question is counted by its words, since nobody says how the
        service writes it. `with_ids_only`, `with_keys_only` and `with_letters` are the overhead
        with other questions: nothing but the id in place of its words; not even an id; the id and a
        letter for each label, which the instructions would have to explain.
    """
    builder = PromptBuilder(label_set, rng=random.Random(1))
    instructions = count(builder.instructions)
    schema = count(json.dumps(builder.schema, separators=(",", ":")))
    asks = [builder.ask(_pack()) for _ in range(DRAWS)]
    envelope = _envelope(asks, count)
    rng = random.Random(1)
    answers = [
        {"answers": [{"id": name, "labels": [rng.choice(label_set.keys)]} for name in ask.tickets]}
        for ask in asks
    ]
    written = [json.dumps(answer, separators=(",", ":")) for answer in answers]
    inside = PromptBuilder(label_set, rng=random.Random(1), has_context=True)
    around = _envelope([inside.ask(_pack(PLACE)) for _ in range(DRAWS)], count)
    names = [name for ask in asks for name in ask.tickets]
    choices = count(builder.choice_instructions)

    def asked(question: Callable[[str], Sequence[str]], told: int = choices) -> float:
        sizes = [count(" ".join(question(name))) for name in names]
        return round(told / CHUNKS + envelope + sum(sizes) / len(sizes), 1)

    keys, letters = label_set.keys, ascii_lowercase[: len(label_set.keys)]
    explained = choices + sum(count(f" {letter}:") for letter in letters)
    return {
        "instructions": instructions,
        "schema": schema,
        "envelope": round(envelope, 1),
        "answer": round(sum(map(count, written)) / CHUNKS / DRAWS, 1),
        "overhead": round((instructions + schema) / CHUNKS + envelope, 1),
        "in_context": round((count(inside.instructions) + schema) / CHUNKS + around, 1),
        "choice_instructions": choices,
        "as_choices": asked(lambda name: (f"c_{name}", f"Main label of chunk {name}.", *keys)),
        "with_ids_only": asked(lambda name: (name, name, *keys)),
        "with_keys_only": asked(lambda name: keys),
        "with_letters": asked(lambda name: (name, name, *letters), explained),
    }


def _pack(place: Place | None = None) -> Pack:
    """Return twenty chunks with the same text, the first of them in this place."""
    places = [place and replace(place, number=place.number + i) for i in range(CHUNKS)]
    chunks = [Chunk(id=str(i), text=TEXT, place=one) for i, one in enumerate(places)]
    items = [Item(ticket=i, chunk=chunk, tokens=1) for i, chunk in enumerate(chunks)]
    return Pack(items=tuple(items), topic=TOPIC)


def _envelope(asks: Sequence[Ask], count: Count) -> float:
    """Return the tokens of the contents beside the texts of the chunks, for each chunk."""
    return sum(count(ask.content) / CHUNKS - count(TEXT) for ask in asks) / len(asks)


def shown_counts(label_set: LabelSet, count: Count) -> dict[str, float]:
    """Return tokens of what is told once with examples, by a counter.

    Returns:
        `shown`: instructions and schema; `shown_choices`: instructions of the choice form.
    """
    builder = PromptBuilder(label_set.with_examples(), rng=random.Random(1))
    schema = count(json.dumps(builder.schema, separators=(",", ":")))
    return {
        "shown": count(builder.instructions) + schema,
        "shown_choices": count(builder.choice_instructions),
    }


def estimated(label_set: LabelSet) -> dict[str, float]:
    """Return the counts by the estimate that the package works with."""
    return counts(label_set, estimate) | shown_counts(label_set, estimate)


def digests(label_set: LabelSet) -> dict[str, str]:
    """Return the digests of what is counted, without and with examples: both forms, in context."""
    sets = {"prompt": label_set, "shown_prompt": label_set.with_examples()}
    return {
        key: PromptBuilder(one, rng=random.Random(1), has_choices=True, has_context=True).digest
        for key, one in sets.items()
    }


def write(count: Count) -> None:
    """Write the counts of all sets by an exact counter, with the prompts that they belong to."""
    parts = ["# Made by `python -m tests.docs.prompt_tokens`; vocabulary o200k_base.\n"]
    for name in LabelSet.available():
        label_set = LabelSet.load(name)
        found = counts(label_set, count) | shown_counts(label_set, count)
        lines = [f'{key} = "{digest}"' for key, digest in digests(label_set).items()]
        lines += [f"{key} = {value}" for key, value in found.items()]
        parts.append(f"[{name}]\n" + "\n".join(lines) + "\n")
    TARGET.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    import bpe_openai  # type: ignore[import-not-found]

    encoding = bpe_openai.get_encoding("o200k_base")
    write(lambda text: len(encoding.encode(text)))
