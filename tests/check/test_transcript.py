"""Frames are written as lines, without key and account."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from analysis.check.transcript import FRAME_CHARACTERS, Mask, Transcript
from analysis.endpoint import Endpoint
from analysis.errors import ConfigurationError

KEY = "very-secret-0123456789"
ENDPOINT = Endpoint(
    base_url="https://example.org/v1",
    api_key=KEY,
    host="example.org",
    organization="acme",
    safety_identifier="0f" * 32,
)
MASK = Mask(ENDPOINT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f'{{"message": "Incorrect API key: {KEY}."}}',
            '{"message": "Incorrect API key: [masked]."}',
        ),
        (
            "Incorrect API key provided: sk-ab***********wxyz.",
            "Incorrect API key provided: [masked].",
        ),
        ("in organization org-Ab12Cd34 on tokens", "in organization [masked] on tokens"),
        ('"openai-project": "proj_9aZ8"', '"openai-project": "[masked]"'),
        ('"Bearer abc.def", "x"', '"Bearer [masked]", "x"'),
        ("acme and 0f0f", "[masked] and 0f0f"),
        ("the pharmacme stays", "the pharmacme stays"),
    ],
)
def test_keys_and_accounts_are_masked(text: str, expected: str) -> None:
    """Those that were given and those that look like one; the rest of the text stays."""
    assert expected == MASK(text)


def test_values_are_masked_at_any_depth() -> None:
    """Names of fields and numbers stay."""
    value = {"a": [KEY, 5, {"b": f"x {KEY}"}], "c": None}
    assert {"a": ["[masked]", 5, {"b": "x [masked]"}], "c": None} == MASK.value(value)


def test_an_endpoint_without_key_masks_nothing_of_its_own() -> None:
    """The word that is sent for a missing key is no secret."""
    bare = Endpoint(base_url="http://127.0.0.1:1/v1", api_key="no-key", host="127.0.0.1")
    assert "no-key" == Mask(bare)("no-key")


def test_each_frame_is_one_line_of_json(tmp_path: Path) -> None:
    """With the seconds since the start, the door and the direction."""
    path, ticks = tmp_path / "frames.jsonl", count(100.0, 0.5)
    with Transcript(path, mask=MASK, clock=lambda: next(ticks)) as transcript:
        transcript.write("realtime", "sent", f'{{"key": "{KEY}"}}')
        transcript.write("realtime", "received", "x" * (FRAME_CHARACTERS + 7))
    first, second = map(json.loads, path.read_text("utf-8").splitlines())
    expected = {"at": 0.5, "door": "realtime", "what": "sent", "frame": '{"key": "[masked]"}'}
    assert expected == first
    assert (FRAME_CHARACTERS, 7) == (len(second["frame"]), second["characters_left_out"])
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """It may be the only copy of an earlier check."""
    path = tmp_path / "frames.jsonl"
    path.write_text("kept")
    with pytest.raises(ConfigurationError, match="is there already"):
        Transcript(path, mask=MASK, clock=lambda: 0.0)
    assert "kept" == path.read_text()


def test_a_file_that_cannot_be_made_is_an_option_that_cannot_be_used(tmp_path: Path) -> None:
    """The message names it."""
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Transcript(tmp_path / "missing" / "frames.jsonl", mask=MASK, clock=lambda: 0.0)


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    """The questions write to it all the same."""
    with Transcript(None, mask=MASK, clock=lambda: 0.0) as transcript:
        transcript.write("realtime", "sent", "{}")
    assert [] == list(tmp_path.iterdir())
