"""`semfn evaluate --audit`: what is refused, asked, printed and written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from analysis.commands.evaluate_audit import agree
from analysis.errors import ConfigurationError
from tests.commands.examples import ESTIMATE
from tests.commands.running import paid_service, read, semfn, table, written
from tests.reading_service import reading


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return the output of a run with the local service."""
    result = semfn("run", table(tmp_path, 30), "--topic", "Trains", "--local", "--quiet")
    assert 0 == result.exit_code, result.output
    return tmp_path / "chunks.labeled.csv"


def audit(output: Path, *arguments: object, **more: Any) -> Result:
    """Audit twenty rows."""
    given = ("evaluate", output, "--audit", 20, "--topic", "Trains", *arguments)
    return semfn(*given, **more)


def assert_refused(result: Result, *parts: str) -> None:
    """Assert exit 2 with one line on stderr that has these parts."""
    assert (2, "") == (result.exit_code, result.stdout)
    assert [part for part in parts if part not in result.stderr] == [], result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--gold", "label"), ("--gold and --audit cannot be combined",)),
        (("--against", "x.csv"), ("--against and --audit",)),
        (("--between", "a", "b"), ("--between and --audit",)),
        (("--model", "m"), ("--model belongs to --route",)),
        (("--local", "--budget", "-1"), ("--budget is -1",)),
        (("--local", "--route", "telepathy"), ("telepathy",)),
        (("--local", "--input", "none.csv"), ("none.csv",)),
        ((), ("answered by the local service", "Add --local")),
    ],
)
def test_what_cannot_be_audited_is_refused(
    output: Path, arguments: tuple[object, ...], parts: tuple[str, ...]
) -> None:
    """Nothing is sent, and the cure is named."""
    assert_refused(audit(output, *arguments), *parts)


def test_options_of_an_audit_need_one(output: Path) -> None:
    """A budget for nothing is a mistake of the user."""
    result = semfn("evaluate", output, "--gold", "semantic_function", "--budget", "1")
    assert_refused(result, "--budget belongs to an audit", "--audit N")
    result = semfn("evaluate", output, "--gold", "semantic_function", "--title-column", "title")
    assert_refused(result, "--title-column belongs to an audit", "--audit N")


def test_an_output_that_lost_its_results_is_refused(output: Path) -> None:
    """They say how it was made."""
    output.with_name(f"{output.name}.run-results.json").unlink()
    assert_refused(audit(output, "--local"), "is not there", "run the same command again")


def test_an_audit_asks_with_the_definitions_of_the_run(tmp_path: Path) -> None:
    """Else it would refuse the run, or compare two prompts."""
    given = ("--topic", "Trains", "--local", "--quiet", "--definitions", "ru")
    assert 0 == semfn("run", table(tmp_path, 30), *given).exit_code
    path = tmp_path / "chunks.labeled.csv"
    result = audit(path, "--local")
    assert 0 == result.exit_code, result.output
    results = path.with_name(f"{path.name}.run-results.json")
    text = results.read_text(encoding="utf-8")
    assert "ru (unmeasured)" in text
    results.write_text(text.replace("ru (unmeasured)", "fr (unmeasured)"), encoding="utf-8")
    assert_refused(audit(path, "--local"), "was made with another prompt or label set")


def test_a_forgotten_topic_is_refused(output: Path) -> None:
    """The topic is part of each question."""
    assert_refused(semfn("evaluate", output, "--audit", 20, "--local"), "Pass the --topic")


def test_titles_that_the_run_did_not_send_are_refused(output: Path) -> None:
    """The title is part of a question; a column that is not there is named as ever."""
    refused = audit(output, "--local", "--title-column", "topic")
    assert_refused(refused, "The run sent no titles", "Leave --title-column out.")
    assert_refused(audit(output, "--local", "--title-column", "none"), "no column 'none'")


def test_an_audit_sends_the_titles_of_the_run(tmp_path: Path) -> None:
    """From the same column without being told; another one must be named if it was renamed."""
    rows = [(f"c{n}", f"Text number {n}.", f"News {n // 5}") for n in range(10)]
    path = written(tmp_path, [("id", "text", "headline"), *rows])
    with reading() as (service, options):
        env = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": options["base_url"]}
        given = ("--topic", "Trains", "--route", "rest", "--quiet")
        result = semfn("run", path, *given, "--title-column", "headline", env=env)
        assert 0 == result.exit_code, result.output
        output, told = tmp_path / "chunks.labeled.csv", ("--topic", "Trains", "--audit", 10)
        service.contents.clear()
        result = semfn("evaluate", output, *told, env=env)
        assert 0 == result.exit_code, result.output
        # Two requests again, ten alone, two in another order, two with labels in another order.
        titles = Counter(one["title"] for one in service.contents)
        assert ["News 0", "News 1"] == sorted(titles)
        assert min(titles.values()) >= 8  # a slow request is sent twice
        renamed = written(tmp_path, [("id", "text", "head"), *rows], "renamed.csv")
        again = (*told, "--input", renamed)
        assert_refused(semfn("evaluate", output, *again, env=env), "Pass --title-column NAME")
        service.contents.clear()
        result = semfn("evaluate", output, *again, "--title-column", "head", env=env)
        assert 0 == result.exit_code, result.output
        assert len(service.contents) >= 16


def test_an_audit_is_printed_with_its_mark(output: Path) -> None:
    """Rules look at nothing but the text: no label changes."""
    result = audit(output, "--local")
    assert 0 == result.exit_code, result.output
    lines = result.stdout.splitlines()
    assert f"Audit of {output} (simulated)" == lines[0]
    arms = ("again", "alone", "shuffled", "relisted")
    rows = [line.split() for line in lines if line.startswith(tuple(f"{arm} " for arm in arms))]
    assert [[arm, "20", "2", "0"] for arm in arms] == [row[:4] for row in rows[:4]]
    assert "relisted: the same requests, with the labels listed in another order." in lines
    assert result.stderr.startswith("Audit: 26 requests, about ")


def test_a_document_and_a_table_are_written(output: Path, tmp_path: Path) -> None:
    """With --json, --out and --differences."""
    target, rows = tmp_path / "audit.json", tmp_path / "rows.csv"
    result = audit(output, "--local", "--json", "--out", target, "--differences", rows)
    assert (0, "") == (result.exit_code, result.stdout)
    document = json.loads(target.read_text(encoding="utf-8"))
    assert (2, "audit", True) == tuple(
        document[key] for key in ("audit_version", "kind", "simulated")
    )
    assert [] == read(rows)
    assert "id,output,again,alone,shuffled,relisted\n" == rows.read_text(encoding="utf-8")


def test_a_file_of_the_run_is_not_written_over(output: Path) -> None:
    """Neither the output nor the input."""
    before = output.read_bytes()
    assert_refused_after(audit(output, "--local", "--out", output), "is an input of this command")
    assert before == output.read_bytes()


def assert_refused_after(result: Result, part: str) -> None:
    """Assert exit 2 with a message."""
    assert 2 == result.exit_code
    assert part in result.stderr


def test_an_expensive_audit_needs_a_yes(capsys: pytest.CaptureFixture[str]) -> None:
    """The sum of all arms counts; off a terminal the figure is named and the audit refused."""
    arm = replace(ESTIMATE, cost_usd=1.7)
    agree([arm] * 2, is_simulated=False, is_confirmed=False)
    with pytest.raises(ConfigurationError, match=r"estimated at 5\.10 USD, above 5\.00 USD"):
        agree([arm] * 3, is_simulated=False, is_confirmed=False)
    agree([arm] * 3, is_simulated=False, is_confirmed=True)
    agree([arm] * 3, is_simulated=True, is_confirmed=False)
    agree([replace(arm, cost_usd=None)] * 3, is_simulated=False, is_confirmed=False)
    *_, simulated, unknown = capsys.readouterr().err.splitlines()
    assert simulated.endswith("input tokens, simulated.")
    assert "cost unknown" in unknown


def test_a_budget_ends_an_audit_with_four(tmp_path: Path) -> None:
    """What was asked before is printed."""
    with paid_service() as paid:
        env = paid.environment()
        given = ("run", table(tmp_path, 30), "--topic", "Trains", "--route", "rest", "--quiet")
        assert 0 == semfn(*given, env=env).exit_code
        capped = audit(tmp_path / "chunks.labeled.csv", "--budget", "0.0005", env=env)
    assert 4 == capped.exit_code
    assert "Stopped: the budget of" in capped.stdout


def test_a_finished_audit_asks_nothing_until_it_is_to_be_fresh(tmp_path: Path) -> None:
    """Other orders of the same rows are asked alone; the ledger stands beside the output."""
    output = tmp_path / "chunks.labeled.csv"
    with paid_service() as paid:
        env = paid.environment()
        given = ("run", table(tmp_path, 30), "--topic", "Trains", "--route", "rest", "--quiet")
        assert 0 == semfn(*given, env=env).exit_code
        first, one = audit(output, env=env), paid.chunks
        again, two = audit(output, env=env), paid.chunks
        other, three = audit(output, "--seed", 2, "--json", env=env), paid.chunks
        fresh, four = audit(output, "--fresh", "--json", env=env), paid.chunks
    assert [0] * 4 == [result.exit_code for result in (first, again, other, fresh)], again.output
    assert (30 + 80, 30 + 80) == (one, two)
    assert (40, 80) == (three - two, four - three)
    assert [[20, 20, 0, 0], [0] * 4] == [
        [arm["labelled_before"] for arm in json.loads(result.stdout)["arms"]]
        for result in (other, fresh)
    ]
    assert "Nothing to ask: all answers are in " in again.stderr
    assert first.stdout == again.stdout
    assert output.with_name(f"{output.name}.audit.semfn.sqlite").exists()


def test_a_ledger_of_an_audit_that_cannot_be_used_ends_with_five(tmp_path: Path) -> None:
    """Nothing is sent, and the file stays as it was."""
    output, own = tmp_path / "chunks.labeled.csv", tmp_path / "own.sqlite"
    own.write_text("mine", encoding="utf-8")
    with paid_service() as paid:
        env = paid.environment()
        given = ("run", table(tmp_path, 30), "--topic", "Trains", "--route", "rest", "--quiet")
        assert 0 == semfn(*given, env=env).exit_code
        assert 5 == audit(output, "--ledger", own, env=env).exit_code
        assert (30, "mine") == (paid.chunks, own.read_text(encoding="utf-8"))


def test_a_local_audit_keeps_nothing(output: Path) -> None:
    """Nothing was paid, so an option about it is refused."""
    assert_refused(audit(output, "--local", "--fresh"), "--fresh is about answers")
    assert 0 == audit(output, "--local").exit_code
    assert [] == list(output.parent.glob("*.audit.*"))
