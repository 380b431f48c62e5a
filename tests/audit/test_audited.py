"""An audit finds what packing changes, and refuses what would compare other things."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from analysis.audit.audited import Audited, Wanted, carry_out, prepare
from analysis.audit.record import facts_of
from analysis.commands.labelled_tables import open_labelled, read_output, read_texts
from analysis.errors import ConfigurationError, InputError
from analysis.evaluation.cells import LabelReader
from analysis.labels.label_set import LabelSet
from analysis.pipeline.tables import open_table
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Answerer, Job, Question, Service
from tests.commands.running import Paid, paid_service, semfn, table

TEN = LabelSet.load("ten_functions")
ROWS = 40


def packed_label(texts: Sequence[str], topic: str | None) -> list[tuple[str]]:
    """Give the first text of a request another label than it has elsewhere."""
    return [("noise" if place == 0 else "example",) for place, _ in enumerate(texts)]


def noisy(share: float) -> Answerer:
    """Return a model that answers differently each time, for so many of the texts."""
    rng = Random(1)

    def label(texts: Sequence[str], topic: str | None) -> list[tuple[str]]:
        return [("contrast" if rng.random() < share else "example",) for _ in texts]

    return Answerer(name="digest-labels", label=label)


def labelled(folder: Path, paid: Paid, monkeypatch: pytest.MonkeyPatch, *more: object) -> Path:
    """Label a table through the service, which later calls find, too; return the output."""
    for name, value in paid.environment().items():
        monkeypatch.setenv(name, str(value))
    path = table(folder, ROWS)
    given = ("run", path, "--topic", "Trains", "--route", "rest", "--quiet", *more)
    result = semfn(*given, env=paid.environment())
    assert 0 == result.exit_code, result.output
    return folder / "chunks.labeled.csv"


def audited(output: Path, **wanted: Any) -> Audited:
    """Carry out an audit."""
    facts, topic = facts_of(output), wanted.pop("topic", "Trains")
    rows = read_output(open_labelled(output), LabelReader(TEN))
    source = wanted.pop("input", facts.input)
    with contextlib.ExitStack() as held:
        audit = prepare(
            held,
            facts=replace(facts, **wanted.pop("facts", {})),
            wanted=Wanted(**{"rows": ROWS, "seed": 1} | wanted),
            label_set=TEN,
            table=open_table(source, topic=topic, context=facts.context),
            rows=rows,
            texts=read_texts(open_labelled(output), "text"),
            output=output,
        )
        return asyncio.run(carry_out(audit))


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Yield an output of a model that never changes its mind, and the service that made it."""
    with paid_service() as paid:
        yield labelled(tmp_path, paid, monkeypatch), paid


def test_what_is_not_the_run_is_refused_before_anything_is_sent(
    output: tuple[Path, Paid], tmp_path: Path
) -> None:
    """Another topic, prompt, host or input; each with its cure."""
    path, paid = output
    other = tmp_path / "other"
    other.mkdir()
    before = paid.chunks
    for wanted, message in (
        ({"topic": "Bread"}, "Pass the --topic of the run"),
        ({"facts": {"prompt": "x"}}, "another prompt or label set"),
        ({"local": True}, "Set OPENAI_BASE_URL as it was"),
        ({"facts": {"endpoint": "embedded"}}, "Add --local"),
        ({"facts": {"endpoint": "api.example:443"}}, "was answered by api.example:443"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            audited(path, **wanted)
    with pytest.raises(InputError, match="has a row 'c40' that"):
        audited(path, input=table(other, ROWS - 1))
    assert before == paid.chunks


@pytest.mark.parametrize("part", [("--limit", 25), ("--sample", 25, "--seed", 3)])
def test_a_pilot_is_audited_within_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: tuple[object, ...]
) -> None:
    """Rows that were never labelled are not asked, and the requests are those of the pilot."""
    with paid_service() as paid:
        output = labelled(tmp_path, paid, monkeypatch, *part)
        found = audited(output).document
    assert (25, 25) == (found["sample"]["rows"], found["sample"]["compared"])
    again, alone, *_ = found["arms"]
    assert (3, 25) == (again["estimated"]["requests"], alone["estimated"]["requests"])


def test_an_edited_text_is_refused(output: tuple[Path, Paid], tmp_path: Path) -> None:
    """A label of one text says nothing about another one under the same id."""
    path, _ = output
    source = tmp_path / "chunks.csv"
    text = source.read_text(encoding="utf-8").replace("Text number 7.", "Seven.")
    source.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="has another text"):
        audited(path)


def test_a_model_that_sees_only_its_text_changes_nothing(output: tuple[Path, Paid]) -> None:
    """Every arm has a share of 0, and the interval says what that is worth."""
    found = audited(output[0]).document
    assert ["again", "alone", "shuffled", "relisted"] == [arm["name"] for arm in found["arms"]]
    for arm in found["arms"]:
        share = arm["changed"]["primary"]
        assert (0, ROWS, 0.0) == (share["count"], share["rows"], share["low"])
        assert (4, 0.088) == (share["requests"], round(share["high_by_rows"], 3))
        assert 0.49 == round(share["high"], 2)
        assert arm["simulated"]
    assert [None, 0.0, 0.0, 0.0] == [
        arm["beyond_noise"] and arm["beyond_noise"]["difference"] for arm in found["arms"]
    ]
    assert found["simulated"]
    assert {"rows": 40, "seed": 1, "compared": 40, "reused": 0, "without_label": 0} == (
        found["sample"]
    )


def test_a_model_that_looks_at_its_pack_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of ten differs: repeated nothing changes, alone the nine others of each request."""
    with paid_service(answerer=Answerer(name="digest-labels", label=packed_label)) as paid:
        found = audited(labelled(tmp_path, paid, monkeypatch)).document
    again, alone, shuffled, relisted = found["arms"]
    # In three of the four requests another text comes first: two labels change in each of them.
    assert (0, 36, 6, 0) == tuple(
        arm["changed"]["primary"]["count"] for arm in (again, alone, shuffled, relisted)
    )
    assert (36 / ROWS, 36, 0) == tuple(
        alone["beyond_noise"][key] for key in ("difference", "only_arm", "only_again")
    )
    # Four requests that all change could do so by chance in two of sixteen ways, three in two of
    # eight, however many chunks they hold; how large the effect is tells the interval.
    assert (2 / 16, 2 / 8) == tuple(one["beyond_noise"]["p_value"] for one in (alone, shuffled))
    assert 0.2 < alone["beyond_noise"]["low"] < 0.9 == alone["beyond_noise"]["difference"]


def test_noise_is_not_taken_for_an_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that changes three labels in ten by itself does so in each arm."""
    with paid_service(answerer=noisy(0.3)) as paid:
        found = audited(labelled(tmp_path, paid, monkeypatch)).document
    again, *others = found["arms"]
    assert again["changed"]["primary"]["count"] > 5
    assert all(arm["beyond_noise"]["p_value"] > 0.05 for arm in others)


class FirstListed(Service):
    """A model that takes the label that is listed first, but for texts with a seven in them.

    Attributes:
        lists: The labels as each request lists them, in instructions and schema alike.
    """

    def __init__(self) -> None:
        self.lists: list[list[str]] = []

        def label(texts: Sequence[str], topic: str | None) -> list[tuple[str]]:
            return [("contrast" if "7" in text else self.lists[-1][0],) for text in texts]

        super().__init__(Answerer(name="digest-labels", label=label))

    def start(self, question: Question, now: float) -> Job:
        """Answer a request and keep its list."""
        listed = LISTED.search(json.dumps(question.schema))
        assert listed is not None and question.rendered is not None
        self.lists.append(json.loads(listed[1]))
        told = question.rendered.blocks[0].text.partition("Labels:")[2]
        assert self.lists[-1] == re.findall(r"^- ([a-z_]+): ", told.partition("Rules:")[0], re.M)
        return super().start(question, now)


LISTED = re.compile(r'"enum": (\[[^]]*\])')


def test_a_model_that_goes_by_the_order_of_labels_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where the labels are listed in another order; how often, and in which one, is told."""
    service = FirstListed()
    with start_in_thread(service) as base_url:
        paid = Paid(base_url, service, [])
        found = audited(labelled(tmp_path, paid, monkeypatch)).document
    *others, relisted = found["arms"]
    assert [0, 0, 0] == [arm["changed"]["primary"]["count"] for arm in others]
    # Four of the forty texts have a seven in them.
    assert (36, 40) == tuple(relisted["changed"]["primary"][key] for key in ("count", "rows"))
    assert 0 < relisted["beyond_noise"]["low"] < relisted["beyond_noise"]["difference"]
    assert [list(TEN.keys)] * 3 == [arm["label_order"] for arm in others]
    assert service.lists[-1] == relisted["label_order"] != list(TEN.keys)
    assert (10, 4) == (relisted["chunks_per_request"], relisted["estimated"]["requests"])


def test_another_route_is_one_more_arm(output: tuple[Path, Paid]) -> None:
    """The same requests over it, with its own model."""
    found = audited(output[0], routes=("realtime",), rows=20).document
    last = found["arms"][-1]
    assert ("over realtime", 20, 0) == (
        last["name"],
        last["labelled"],
        last["changed"]["primary"]["count"],
    )
    assert ["realtime"] == [one["route"] for one in last["by_route"]]


def test_chunks_that_travel_alone_are_asked_with_another_list_of_labels_too(
    output: tuple[Path, Paid],
) -> None:
    """Packing has nothing to change there; the order of the labels has."""
    found = audited(output[0], rows=5, facts={"chunks_per_request": 1}).document
    assert [("again", 5), ("relisted", 5)] == [
        (arm["name"], arm["estimated"]["requests"]) for arm in found["arms"]
    ]


def test_rows_that_were_not_asked_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blank text has no label, and a label from another ledger was given in another run."""
    with paid_service() as paid:
        output = labelled(tmp_path, paid, monkeypatch)
        cells = output.read_text(encoding="utf-8").splitlines()
        header = cells[0].split(",")
        for line, column in ((1, "semantic_function"), (2, "semfn_attempts")):
            row = cells[line].split(",")
            row[header.index(column)] = "" if column == "semantic_function" else "0"
            cells[line] = ",".join(row)
        output.write_text("\n".join(cells) + "\n", encoding="utf-8")
        found = audited(output).document
    assert {"rows": 40, "seed": 1, "compared": 38, "reused": 1, "without_label": 1} == (
        found["sample"]
    )
    assert 38 == found["arms"][0]["changed"]["rows"]


def test_a_budget_leaves_the_figures_of_what_was_asked(output: tuple[Path, Paid]) -> None:
    """The arm that was cut has fewer rows, and the document says why."""
    found = audited(output[0], budget_usd=0.002)
    assert "budget" in found.document["stopped"]
    assert ["again", "alone"] == [arm["name"] for arm in found.document["arms"]]
    assert 0 < found.document["arms"][1]["labelled"] < ROWS
    assert 1 == found.document["bill"]["arms"]
