"""Label sets through whole runs: own files, names in the output, what rules cannot do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.entry import analyze_file, estimate_file
from analysis.errors import ConfigurationError
from analysis.hooks import Hooks
from analysis.labels.label_set import LabelSet
from analysis.records import Chunk
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.simulator.service import digest_answerer
from tests.commands.running import assert_refused, column, paid_service, semfn, table, written

MOOD = """
name = "mood"
version = "3"
[policy]
max_labels = 1
default = "calm"
[[labels]]
key = "calm"
definition = "States things as they are."
names = { en = "Calm", ru = "Спокойно" }
[[labels]]
key = "angry"
definition = "Blames somebody."
names = { en = "Angry" }
[[labels]]
key = "sad"
definition = "Mourns something."
"""
NAMES = {"calm": "Спокойно", "angry": "Angry", "sad": "sad"}


def mood(folder: Path) -> Path:
    """Write a label set of one's own."""
    path = folder / "mood.toml"
    path.write_text(MOOD, encoding="utf-8")
    return path


def test_a_broken_set_file_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """With the line, or with the path that cannot be read; no file appears."""
    chunks = table(tmp_path)
    broken = tmp_path / "broken.toml"
    broken.write_text(MOOD.replace('"calm"', '"calmm"', 1), encoding="utf-8")
    files = ["broken.toml", "chunks.csv"]
    with paid_service() as service:
        for name, part in ((broken, "broken.toml, line 6"), ("none.toml", "cannot be read")):
            result = semfn("run", chunks, "--label-set", name, env=service.environment())
            assert_refused(result, tmp_path, part, files=files)
        assert [] == service.records


def test_a_language_without_names_is_refused(tmp_path: Path) -> None:
    """Names are in four languages, whatever the set."""
    with pytest.raises(ConfigurationError, match=r"'de' is unknown.*en, ru, fr, zh"):
        analyze_file(table(tmp_path), label_names="de", route="offline")
    result = semfn("run", tmp_path / "chunks.csv", "--label-names", "de")
    assert 2 == result.exit_code


def test_a_set_file_and_names_through_the_command(tmp_path: Path) -> None:
    """The output has the names, the ledger the keys: other names cost nothing."""
    chunks, sets = table(tmp_path), mood(tmp_path)
    asked = ("run", chunks, "--label-set", sets)
    with paid_service(answerer=digest_answerer(LabelSet.load(str(sets)).keys)) as service:
        env = service.environment()
        plain = semfn(*asked, env=env)
        assert 0 == plain.exit_code, plain.output
        keys = column(tmp_path / "chunks.labeled.csv", "semantic_function")
        assert set(NAMES) == set(keys)
        paid = service.chunks
        named = semfn(*asked, "--label-names", "ru", env=env)
        assert 0 == named.exit_code, named.output
        assert paid == service.chunks
    assert [NAMES[key] for key in keys] == column(
        tmp_path / "chunks.labeled.csv", "semantic_function"
    )
    assert 1 == named.stderr.count("has no name in ru for angry, sad: the English name stands")


def test_evaluate_reads_names_back(tmp_path: Path) -> None:
    """An output with names is scored as one with keys."""
    chunks = table(tmp_path)
    keys, names = tmp_path / "keys.csv", tmp_path / "names.csv"
    with paid_service() as service:
        env = service.environment()
        assert 0 == semfn("run", chunks, "-o", keys, env=env).exit_code
        assert 0 == semfn("run", chunks, "-o", names, "--label-names", "zh", env=env).exit_code
    assert column(keys, "semantic_function") != column(names, "semantic_function")
    result = semfn("evaluate", names, "--against", keys, "--json")
    assert 0 == result.exit_code, result.output
    assert [1.0, 1.0] == json.loads(result.stdout)["intervals"]["bounds"]["kappa"]


def test_the_record_names_the_file_and_its_version(tmp_path: Path) -> None:
    """With its digest, so that a later reader knows which labels these are."""
    sets = mood(tmp_path)
    found = analyze_file(table(tmp_path), label_set=str(sets), route="offline").record
    digest = LabelSet.load(str(sets)).digest
    assert ("mood 3", digest) == (found["label_set"], found["label_set_digest"])
    assert os.path.realpath(sets) == os.path.realpath(found["label_set_file"])
    shipped = analyze_file(table(tmp_path, name="b.csv"), route="offline").record
    assert "label_set_file" not in shipped


def test_definitions_in_another_language_are_marked(tmp_path: Path) -> None:
    """How they change labels was not measured, and the record says so."""
    russian = LabelSet.load("ten_functions").in_language("ru")
    found = analyze_file(table(tmp_path), label_set=russian, route="offline").record
    assert "ru (unmeasured)" == found["definitions"]


def test_definitions_are_chosen_by_option_and_asked_anew(tmp_path: Path) -> None:
    """Noted before the run and in the record; an answer to English ones is none to Russian ones."""
    chunks, out = table(tmp_path), tmp_path / "out.csv"
    said: list[str] = []
    hooks = Hooks(on_notes=said.extend)
    note = "the model gets the definitions of ten_functions in ru (unmeasured): how that changes "
    with paid_service() as service:
        env = service.environment()
        assert 0 == semfn("run", chunks, "-o", out, env=env).exit_code
        english = service.chunks
        result = semfn("run", chunks, "-o", out, "--definitions", "ru", env=env)
        assert 0 == result.exit_code, result.output
        assert note in result.stderr
        assert (30, 60) == (english, service.chunks)
        assert 0 == semfn("run", chunks, "-o", out, "--definitions", "ru", env=env).exit_code
        assert 60 == service.chunks
    found = json.loads((tmp_path / "out.csv.run-results.json").read_bytes())["record"]
    russian = LabelSet.load("ten_functions").in_language("ru")
    expected = ("ru (unmeasured)", russian.digest, "ten_functions 2")
    assert expected == tuple(
        found[name] for name in ("definitions", "label_set_digest", "label_set")
    )
    analyze_file(chunks, tmp_path / "b.csv", definitions="ru", route="offline", hooks=hooks)
    assert 1 == len([one for one in said if one.startswith(note)])


def test_a_set_in_another_language_stays_so_without_the_option(tmp_path: Path) -> None:
    """The option changes only what it is given for."""
    russian = LabelSet.load("ten_functions").in_language("ru")
    for definitions in (None, "ru"):
        out = tmp_path / f"{definitions}.csv"
        options: dict[str, Any] = {"label_set": russian, "definitions": definitions}
        found = analyze_file(table(tmp_path), out, route="offline", **options).record
        assert russian.digest == found["label_set_digest"]


def test_definitions_that_a_set_does_not_have_are_refused(tmp_path: Path) -> None:
    """Before anything is sent or written, by run and by estimate, with what to add."""
    chunks, sets = table(tmp_path), mood(tmp_path)
    part = "Label set mood has no definitions in 'fr' for calm, angry, sad. Add them to the file"
    with paid_service() as service:
        for command in ("run", "estimate"):
            given = (command, chunks, "--label-set", sets, "--definitions", "fr")
            result = semfn(*given, env=service.environment())
            assert_refused(result, tmp_path, part, files=["chunks.csv", "mood.toml"])
        assert [] == service.records
    with pytest.raises(ConfigurationError, match=r"'de' is unknown\. Pass one of: en, ru, fr, zh"):
        analyze_file(chunks, definitions="de", route="offline")


def test_an_estimate_counts_the_definitions_that_would_be_sent(tmp_path: Path) -> None:
    """Russian takes more tokens than English, and the estimate says that it is unmeasured."""
    tokens = []
    for language in ("en", "ru"):
        result = semfn("estimate", table(tmp_path), "--definitions", language, "--json")
        assert 0 == result.exit_code, result.output
        assert ("ru" == language) == ("(unmeasured)" in result.stderr)
        tokens.append(json.loads(result.stdout)["routes"][0]["input_tokens"])
    assert tokens[0] < tokens[1]


def test_a_set_that_rules_do_not_know_is_said_once(tmp_path: Path) -> None:
    """Before the run, and in its summary; a route with a model needs no such word."""
    said: list[str] = []
    hooks = Hooks(on_notes=said.extend)
    word = "offline-rules know no cues for the label set argument: every chunk that they label"
    summary = analyze_file(table(tmp_path), label_set="argument", route="offline", hooks=hooks)
    assert 1 == len([note for note in said if word in note])
    assert 1 == len([note for note in summary.notes if word in note])
    assert {"non_argument"} == set(column(tmp_path / "chunks.labeled.csv", "semantic_function"))
    said.clear()
    analyze_file(table(tmp_path, name="b.csv"), route="offline", hooks=hooks)
    assert not [note for note in said if "offline-rules" in note]


@pytest.mark.parametrize("place", [{"local": True}, {"route": "offline"}])
def test_rules_are_told_where_a_sentence_stands(tmp_path: Path, place: dict[str, Any]) -> None:
    """A sentence without a cue gets its label from its place, on both ways to the rules."""
    rows = [(str(number), "d", f"The thing number {number}.", "T") for number in range(1, 6)]
    path = written(tmp_path, [("id", "document", "text", "topic"), *rows])
    options: dict[str, Any] = {"label_set": "sci_abstract", "language": "en", **place}
    found = []
    for context in (0, 1):
        out = tmp_path / f"{context}.csv"
        analyze_file(path, out, context=context, **options)
        found.append(column(out, "semantic_function"))
    assert 1 == len(set(found[0]))
    assert "background" == found[1][0]
    assert len(set(found[1])) > 1


@pytest.mark.asyncio
async def test_the_offline_route_of_an_analyzer_takes_places_too() -> None:
    """From the order of a list."""
    options: dict[str, Any] = {"routes": "offline", "label_set": "sci_abstract", "language": "en"}
    chunks = [Chunk(id=str(number), text=f"The thing number {number}.") for number in range(5)]
    found = []
    for context in (0, 1):
        async with HybridSemanticAnalyzer(context=context, **options) as analyzer:
            found.append({verdict.labels for verdict in await analyzer.analyze_batch(chunks)})
    assert [1, True] == [len(found[0]), len(found[1]) > 1]


@pytest.mark.parametrize(("topic", "told"), [("needed", True), ("optional", False)])
def test_a_set_says_whether_rows_need_a_topic(tmp_path: Path, topic: str, told: bool) -> None:
    """For a run and for its estimate, before anything is sent; the cure is named."""
    sets = tmp_path / "mood.toml"
    sets.write_text(MOOD.replace("[policy]", f'[policy]\ntopic = "{topic}"'), encoding="utf-8")
    path = written(tmp_path, [("id", "text"), ("1", "It rains."), ("2", "It is your fault.")])
    asks: list[Callable[[], object]] = [
        lambda: analyze_file(path, label_set=str(sets), route="offline"),
        lambda: estimate_file(path, label_set=str(sets)),
    ]
    for ask in asks:
        if told:
            with pytest.raises(ConfigurationError, match=r"Rows without a topic: 2.*Pass --topic"):
                ask()
        else:
            ask()
    assert told != (tmp_path / "chunks.labeled.csv").exists()


def test_an_abstract_is_labelled_without_a_topic(tmp_path: Path) -> None:
    """Through the command and a socket; a topic of single rows is sent with those rows."""
    rows = [("id", "text", "topic"), ("1", "We measured sleep.", ""), ("2", "It fell.", "sleep")]
    path = written(tmp_path, rows)
    with paid_service(answerer=digest_answerer(LabelSet.load("sci_abstract").keys)) as service:
        result = semfn("run", path, "--label-set", "sci_abstract", env=service.environment())
        assert 0 == result.exit_code, result.output
        assert 2 == service.chunks
    assert all(column(tmp_path / "chunks.labeled.csv", "semantic_function"))
