"""Small label sets as files have them, for the tests of label sets."""

from __future__ import annotations

from analysis.labels.label_set import LabelSet

SMALL = """
name = "small"
version = "3"
[policy]
max_labels = 2
default = "claim"
alone = ["other"]
[[labels]]
key = "claim"
names = { en = "Claim", ru = "Тезис", fr = "Affirmation", zh = "主张" }
aliases = ["stance"]
definition = "Says what the text stands for."
[[labels]]
key = "other"
names = { en = "Other", ru = "Прочее", fr = "Autre", zh = "其他" }
definition = "Anything else."
"""

THREE = """
name = "three"
version = "1"
[policy]
max_labels = 2
default = "a"
alone = []
""" + "".join(f'[[labels]]\nkey = "{key}"\ndefinition = "Label {key}."\n' for key in "abc")


def parsed(old: str = "", new: str = "") -> LabelSet:
    """Parse the small set with one passage replaced."""
    assert old in SMALL
    return LabelSet.parse(SMALL.replace(old, new, 1), source="small.toml")
