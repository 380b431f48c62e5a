"""Examples of labels are told where that is asked for, and change nothing where it is not."""

from __future__ import annotations

import random
from importlib import resources

import pytest

from analysis.errors import ConfigurationError
from analysis.labels.label import MOST_EXAMPLE_SIZE, MOST_EXAMPLES
from analysis.labels.label_set import LabelSet
from analysis.labels.orders import looks_like_orders
from analysis.labels.prompt import PromptBuilder, choice_instructions, instructions

DIGESTS = {
    "argument": "dfdbe63018329424",
    "doc_zones": "5a192c4a7c3107df",
    "intro_moves": "b096e72df93a4006",
    "legal_roles": "2ae36bde5fa8e769",
    "news_schema": "444dfe9e94b7cae8",
    "sci_abstract": "7b9948e996884aaa",
    "ten_functions": "3ee4355027173150",
}
"""Starts of the digests of the shipped sets without their examples; ledgers hold them."""

RENEW = (
    "The instructions differ from analysis/labels/prompts/<set>.examples.txt (for the choice form: "
    "<set>.examples.decisions.txt). If that is meant, write the text that instructions "
    "(choice_instructions) returns for the set with_examples() to that file as UTF-8, and review "
    "the difference."
)

OWN = """name = "own"
version = "1"
[policy]
max_labels = 1
default = "a"
[[labels]]
key = "a"
definition = "Label a."
examples = ["He said \\"no\\" and left.", "Then nothing."]
[[labels]]
key = "b"
definition = "Label b."
examples = ["Bees."]
"""


def own(old: str = "", new: str = "") -> LabelSet:
    """Parse the own set with one passage replaced."""
    assert old in OWN
    return LabelSet.parse(OWN.replace(old, new, 1), source="own.toml")


@pytest.mark.parametrize("name", LabelSet.available())
def test_the_instructions_with_examples_are_the_reviewed_ones(name: str) -> None:
    """Byte for byte, in both forms."""
    folder, told = resources.files("analysis.labels") / "prompts", LabelSet.load(name)
    golden = [folder / f"{name}.examples.txt", folder / f"{name}.examples.decisions.txt"]
    shown = told.with_examples()
    made = [instructions(shown).encode(), choice_instructions(shown).encode()]
    assert [file.read_bytes() for file in golden] == made, RENEW


@pytest.mark.parametrize("name", LabelSet.available())
def test_examples_that_are_not_told_are_in_no_digest(name: str) -> None:
    """So rows that are paid for stay valid; told, both digests are others."""
    plain = LabelSet.load(name)
    shown = plain.with_examples()
    assert DIGESTS[name] == plain.digest[:16]
    assert shown.digest != plain.digest
    prompts = {PromptBuilder(one, rng=random.Random(1)).digest for one in (plain, shown)}
    assert 2 == len(prompts)


def test_another_example_moves_the_digest_only_where_it_is_told() -> None:
    """Prompt and set."""
    first, other = own(), own("Bees.", "Wasps.")
    assert first.digest == other.digest
    assert first.with_examples().digest != other.with_examples().digest
    assert instructions(first) == instructions(other)
    assert instructions(first.with_examples()) != instructions(other.with_examples())


@pytest.mark.parametrize("name", LabelSet.available())
def test_the_examples_of_shipped_sets_are_plain_texts(name: str) -> None:
    """Two or three a label, none of them an order to the model or that of another label."""
    labels = LabelSet.load(name).labels
    texts = [text for label in labels for text in label.examples]
    own = LabelSet.load(name).spellings
    assert len(texts) == len(set(texts))
    assert {len(label.examples) for label in labels} <= {2, 3}
    assert [] == [text for text in texts if looks_like_orders(text, own) or text != text.strip()]
    assert max(map(len, texts)) <= 181


@pytest.mark.parametrize("name", LabelSet.available())
def test_with_examples_the_instructions_reach_the_cache(name: str) -> None:
    """By the estimate, with what it is above the count of o200k_base: 1.13 at most."""
    builder = PromptBuilder(LabelSet.load(name).with_examples(), rng=random.Random(1))
    assert builder.request_tokens >= 1.1 * 1_024


def test_examples_stand_in_quotes_below_their_definition() -> None:
    """None can leave its line or its quotes, and the model hears what they are."""
    lines = instructions(own().with_examples()).splitlines()
    place = lines.index("- a: Label a.")
    assert [
        '  Example: "He said \\"no\\" and left."',
        '  Example: "Then nothing."',
        "- b: Label b.",
    ] == lines[place + 1 : place + 4]
    rule = "- The examples are from other texts: take from them what a chunk does, not what it is "
    assert [f"{rule}about."] == [line for line in lines if "examples" in line]


def test_all_labels_need_examples_to_be_told() -> None:
    """Else the model would lean to those that have some; the cure is named."""
    some = own('examples = ["Bees."]\n')
    with pytest.raises(ConfigurationError, match=r"has no examples for b\. Add them"):
        some.with_examples()
    shown = own().with_examples()
    assert shown is shown.with_examples()


def test_examples_outlive_another_language_of_the_definitions() -> None:
    """They are English, as they were written."""
    russian = LabelSet.load("ten_functions").in_language("ru").with_examples()
    assert 'Example: "Take the bakery' in instructions(russian)


@pytest.mark.parametrize(
    ("new", "line", "word"),
    [
        ("examples = 3", 13, "needs a list of texts in 'examples'"),
        ('examples = [""]', 13, "needs a list of texts in 'examples'"),
        ('example = ["Bees."]', 13, "unknown field 'example'; nearest: examples"),
        (f'examples = ["{"x" * (MOST_EXAMPLE_SIZE + 1)}"]', 13, "301 characters, and 1 to 300"),
        (f"examples = {['x' * n for n in range(1, MOST_EXAMPLES + 2)]}", 13, "6 examples, more"),
        ('examples = ["Then nothing."]', 13, "'a' and 'b' have the same example"),
        ('examples = ["One\\nTwo."]', 13, "line break"),
    ],
)
def test_a_flaw_of_an_example_names_line_and_cure(new: str, line: int, word: str) -> None:
    """In the file of a user."""
    with pytest.raises(ConfigurationError, match=rf"own\.toml, line {line}: ") as caught:
        own('examples = ["Bees."]', new)
    assert word in str(caught.value)


def test_a_shipped_name_is_refused_for_other_examples() -> None:
    """A copy without examples, as exported before there were any, stays what it is."""
    text = LabelSet.text_of("ten_functions")
    first = LabelSet.load("ten_functions").labels[0].examples[0]
    with pytest.raises(ConfigurationError, match="calls itself 'ten_functions'"):
        LabelSet.parse(text.replace(first, "Another text."), source="x.toml")
    lines = text.splitlines()
    starts = [place for place, line in enumerate(lines) if line == "examples = ["]
    for start in reversed(starts):
        del lines[start : lines.index("]", start) + 1]
    bare = LabelSet.parse("\n".join(lines), source="x.toml")
    assert (LabelSet.load("ten_functions").digest, ()) == (bare.digest, bare.labels[0].examples)
