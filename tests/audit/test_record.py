"""What a run says of itself is read back, or refused with a cure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.audit.record import facts_of, topic_digest
from analysis.errors import ConfigurationError
from analysis.settings import SETTINGS

RECORD = {
    "routes": "responses-ws,rest",
    "models": "responses-ws=gpt-6-luna,rest=a=b",
    "endpoint": "embedded",
    "label_set": "ten_functions 1",
    "language": "auto",
    "chunks_per_request": "7 (auto: few chunks)",
    "service_tier": "",
    "context": "2",
    "prompt": "abc",
    "topic_digest": "",
}


def results(folder: Path, name: str, record: dict[str, Any], outputs: list[str]) -> None:
    """Write results of a run."""
    document = {"record": record, "outputs": outputs, "inputs": [f"in-{o}" for o in outputs]}
    (folder / name).write_text(json.dumps(document), encoding="utf-8")


def test_an_output_without_results_is_refused(tmp_path: Path) -> None:
    """The message names the file, and how it comes back."""
    with pytest.raises(ConfigurationError, match=r"out\.csv\.run-results\.json is not there"):
        facts_of(tmp_path / "out.csv")


@pytest.mark.parametrize(
    "spoil",
    [
        {"chunks_per_request": "many"},
        {"models": "gpt"},
        {"routes": None},
        {"context": "x"},
        {"neighbour_chars": "0"},
    ],
)
def test_results_that_do_not_tell_are_refused(tmp_path: Path, spoil: dict[str, Any]) -> None:
    """Fields that are missing or of another form."""
    results(tmp_path, "out.csv.run-results.json", RECORD | spoil, ["out.csv"])
    with pytest.raises(ConfigurationError, match="does not tell how"):
        facts_of(tmp_path / "out.csv")


@pytest.mark.parametrize("text", ["", "[]", "null", '{"record": 1}', "{"])
def test_results_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    """Whatever stands in the file."""
    (tmp_path / "out.csv.run-results.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"out\.csv"):
        facts_of(tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("more", "expected"), [({}, ""), ({"title_column": "headline"}, "headline")]
)
def test_titles_are_those_of_the_run(tmp_path: Path, more: dict[str, str], expected: str) -> None:
    """Runs of earlier versions sent none."""
    results(tmp_path, "out.csv.run-results.json", RECORD | more, ["out.csv"])
    assert expected == facts_of(tmp_path / "out.csv").title_column


def test_results_of_another_output_are_refused(tmp_path: Path) -> None:
    """A file that was renamed is not told by the results of another one."""
    results(tmp_path, "new.csv.run-results.json", RECORD, ["old.csv"])
    with pytest.raises(ConfigurationError, match="under its own name"):
        facts_of(tmp_path / "new.csv")


def test_everything_that_was_asked_with_is_read(tmp_path: Path) -> None:
    """Also from the results of a run over several inputs, which lie in the folder."""
    results(tmp_path, "run-results.json", RECORD, ["a.csv", "b.csv"])
    found = facts_of(tmp_path / "b.csv")
    assert (("responses-ws", "rest"), "a=b") == (found.routes, found.models["rest"])
    assert ("ten_functions", 7, 2) == (found.label_set, found.chunks_per_request, found.context)
    assert "en" == found.definitions
    assert (Path("in-b.csv"), None) == (found.input, found.service_tier)
    results(tmp_path, "b.csv.run-results.json", RECORD | {"label_set_file": "x.toml"}, ["b.csv"])
    assert "x.toml" == facts_of(tmp_path / "b.csv").label_set
    marked = RECORD | {"definitions": "ru (unmeasured)"}
    results(tmp_path, "b.csv.run-results.json", marked, ["b.csv"])
    assert "ru" == facts_of(tmp_path / "b.csv").definitions


def test_a_digest_tells_topics_apart_and_does_not_name_them() -> None:
    """No topic is empty; any text has a digest."""
    assert "" == topic_digest(None)
    assert topic_digest("Trains") != topic_digest("Bread")
    assert "rain" not in topic_digest("Trains")
    assert 12 == len(topic_digest("\udc80"))


def test_the_settings_that_read_the_input_are_those_of_the_run(tmp_path: Path) -> None:
    """So an audit shows the neighbours that the run showed; older results have the usual ones."""
    for more, expected in (({"neighbour_chars": "7"}, 7), ({}, SETTINGS.neighbour_chars)):
        results(tmp_path, "out.csv.run-results.json", RECORD | more, ["out.csv"])
        assert expected == facts_of(tmp_path / "out.csv").settings.neighbour_chars
