"""`semfn run` where all goes well: what it writes, what it reuses, what it prints."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.labels.label_set import LabelSet
from analysis.pipeline.output import OUTPUT_COLUMNS
from analysis.simulator.service import digest_answerer
from tests.commands.running import (
    HEADER,
    Paid,
    column,
    paid_service,
    read,
    semfn,
    table,
    written,
)


@pytest.fixture(scope="module")
def running() -> Iterator[Paid]:
    """Serve for all tests of this file."""
    with paid_service() as paid:
        yield paid


@pytest.fixture
def service(running: Paid) -> Paid:
    """Give each test the service without earlier payments."""
    running.records.clear()
    return running


def run(service: Paid, *arguments: object, code: int = 0) -> str:
    """Give `run`, check its exit code and that stdout is clean, and return stderr."""
    result = semfn("run", *arguments, env=service.environment())
    assert (code, "") == (result.exit_code, result.stdout), result.output
    return result.stderr


def test_output_is_the_input_and_nine_columns(tmp_path: Path, service: Paid) -> None:
    """Cells, columns and rows of the input stay as they are; ours come behind."""
    rows = [("9", 'x, "y"\nz', " T ", "01"), ("10", " a ", "T", ""), ("9 ", "b", "T", "=1+1")]
    path = written(tmp_path, [("id", "text", "topic", "note"), *rows])
    run(service, path)
    output = tmp_path / "chunks.labeled.csv"
    found = read(output)
    assert ["id", "text", "topic", "note", *OUTPUT_COLUMNS] == list(found[0])
    assert rows == [tuple(row[name] for name in ("id", "text", "topic", "note")) for row in found]
    assert {"responses-ws"} == set(column(output, "semfn_route"))
    assert {"digest-labels"} == set(column(output, "semfn_model"))
    assert {""} == set(column(output, "semfn_confidence")) | set(column(output, "semfn_error"))
    assert all(column(output, "semantic_function"))


def test_packed_input_gives_a_plain_output_beside_it(tmp_path: Path, service: Paid) -> None:
    """chunks.csv.gz becomes chunks.labeled.csv; -o with .gz packs it."""
    path = tmp_path / "chunks.csv.gz"
    path.write_bytes(gzip.compress(table(tmp_path, 3).read_bytes()))
    run(service, path)
    plain = (tmp_path / "chunks.labeled.csv").read_bytes()
    packed = tmp_path / "out.csv.gz"
    run(service, path, "-o", packed, "--ledger", tmp_path / "chunks.labeled.csv.semfn.sqlite")
    assert plain == gzip.decompress(packed.read_bytes())
    assert 3 == service.chunks


def test_same_command_again_does_nothing(tmp_path: Path, service: Paid) -> None:
    """Nothing is sent, nothing is written: the files keep bytes and time; exit 0."""
    path = table(tmp_path)
    run(service, path)
    files = [tmp_path / f"chunks.labeled.csv{end}" for end in ("", ".run-results.json")]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    assert (30, 3) == (service.chunks, len(service.records))
    printed = run(service, path)
    assert "Nothing to do: 30 rows, 30 have a label, 0 cannot be sent." in printed
    assert before == [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    assert 3 == len(service.records)


def test_deleted_output_is_written_again_without_sending(tmp_path: Path, service: Paid) -> None:
    """The ledger holds all that the output needs."""
    path, output = table(tmp_path), tmp_path / "chunks.labeled.csv"
    run(service, path)
    before = output.read_bytes()
    output.unlink()
    run(service, path)
    assert (before, 30) == (output.read_bytes(), service.chunks)


def test_pilot_is_reused_by_the_full_run(tmp_path: Path, service: Paid) -> None:
    """--limit labels the first rows; the full run asks for the others only."""
    path, output = table(tmp_path), tmp_path / "chunks.labeled.csv"
    run(service, path, "--limit", 10)
    assert [f"c{number}" for number in range(1, 11)] == column(output, "id")
    pilot = column(output, "semantic_function")
    printed = run(service, path)
    assert "30 rows: 10 have a label, 0 cannot be sent, 20 to do." in printed
    assert (30, pilot) == (service.chunks, column(output, "semantic_function")[:10])


def test_a_part_that_takes_the_place_of_a_whole_output_is_told(
    tmp_path: Path, service: Paid
) -> None:
    """Before and at the end, with the cure; the earlier command restores all without sending."""
    path, output = table(tmp_path), tmp_path / "chunks.labeled.csv"
    run(service, path)
    whole = output.read_bytes()
    printed = run(service, path, "--limit", 10)
    assert "The output has 30 rows of an earlier run, and gets 10 in their place." in printed
    assert "The output had 30 rows and has 10 now. The earlier command writes all" in printed
    summary = json.loads((tmp_path / "chunks.labeled.csv.run-results.json").read_bytes())
    assert 30 == summary["replaced_rows"]
    assert "The output ha" not in run(service, path, "--limit", 10)
    assert "The output ha" not in run(service, path)
    assert (whole, 30) == (output.read_bytes(), service.chunks)


def test_changed_text_and_new_rows_are_asked_and_no_others(tmp_path: Path, service: Paid) -> None:
    """Each row's label hangs on its text and topic; order and other columns do not matter."""
    rows = [(f"c{number}", f"Text {number}.", "T") for number in range(20)]
    path = written(tmp_path, [HEADER, *rows])
    run(service, path)
    rows[3] = ("c3", "Another text.", "T")
    rows[5] = ("c5", "Text 5.", "Another topic")
    written(tmp_path, [HEADER, *reversed(rows), ("new", "New.", "T")])
    run(service, path)
    assert 23 == service.chunks
    assert "new" == column(tmp_path / "chunks.labeled.csv", "id")[-1]


def test_fresh_asks_all_again(tmp_path: Path, service: Paid) -> None:
    """--fresh puts earlier labels aside."""
    path = table(tmp_path)
    run(service, path)
    assert "30 rows. Estimate" in run(service, path, "--fresh")
    assert 60 == service.chunks


def test_other_model_or_route_is_asked_anew_and_the_first_is_kept(
    tmp_path: Path, service: Paid
) -> None:
    """A label belongs to its routes and models; going back costs nothing."""
    path, output = table(tmp_path, 5), tmp_path / "chunks.labeled.csv"
    run(service, path)
    run(service, path, "--model", "gpt-5.6-luna")
    assert 10 == service.chunks
    run(service, path, "--route", "realtime,rest")
    assert (15, {"realtime"}) == (service.chunks, set(column(output, "semfn_route")))
    summary = json.loads((tmp_path / "chunks.labeled.csv.run-results.json").read_bytes())
    assert "ga" == json.loads(summary["record"]["realtime in effect"])["dialect"]
    run(service, path)
    assert (15, {"responses-ws"}) == (service.chunks, set(column(output, "semfn_route")))


def test_row_number_is_the_id_where_there_is_none(tmp_path: Path, service: Paid) -> None:
    """No id column is needed, and none is made up in the output."""
    path = written(tmp_path, [("text",), ("a",), ("b",)])
    printed = run(service, path, "--topic", "T")
    assert "no column 'id': the row number is the id" in printed
    assert ["text", *OUTPUT_COLUMNS] == list(read(tmp_path / "chunks.labeled.csv")[0])


def test_json_is_one_document_on_stdout(tmp_path: Path, service: Paid) -> None:
    """stdout is the summary and nothing else; the file beside the output is the same."""
    path = table(tmp_path, 12)
    result = semfn("run", path, "--json", env=service.environment())
    found = json.loads(result.stdout)
    beside = tmp_path / "chunks.labeled.csv.run-results.json"
    assert beside.read_text(encoding="utf-8") == result.stdout
    assert (0, 12, 12, 0, True) == tuple(
        found[name] for name in ("exit_code", "rows", "labeled", "failed", "simulated")
    )
    assert 12 == sum(found["by_label"].values())
    assert {"done": 2} == found["requests"]
    assert str(tmp_path / "chunks.labeled.csv") == found["paths"]["output"]
    assert "12 of 12 rows labelled" in result.stderr
    quiet = semfn("run", path, "--json", "--quiet", env=service.environment())
    assert ("", 12) == (quiet.stderr, json.loads(quiet.stdout)["reused"])


@pytest.mark.parametrize(
    "arguments", [("--local",), ("--route", "offline"), ("--local", "--route", "realtime,rest")]
)
def test_run_without_a_key_is_marked_everywhere(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Every printed figure of a local or offline run says simulated; so does the summary."""
    path = table(tmp_path, 12)
    result = semfn("run", path, "--json", *arguments)
    assert 0 == result.exit_code, result.output
    assert json.loads(result.stdout)["simulated"] is True
    lines = result.stderr.splitlines()
    figures = [line for line in lines if any(sign.isdigit() for sign in line.split(": /")[0])]
    assert len(figures) >= 4
    assert [] == [line for line in figures if "(simulated)" not in line]
    assert [] == [line for line in lines if "USD" in line and "by the price of" not in line]
    output = tmp_path / "chunks.labeled.csv"
    assert {"offline-rules"} == set(column(output, "semfn_model"))
    route = arguments[-1].split(",")[0].replace("--local", "responses-ws")
    assert {route} == set(column(output, "semfn_route"))
    again = semfn("run", path, *arguments)
    assert "12 of 12 rows labelled, 12 of them before (simulated)." in again.stderr


def test_labels_of_rules_are_never_reused_with_a_key(tmp_path: Path, service: Paid) -> None:
    """A file that was tried with --local is asked in full when there is a service."""
    path = table(tmp_path, 12)
    assert 0 == semfn("run", path, "--local").exit_code
    run(service, path)
    assert 12 == service.chunks
    assert {"digest-labels"} == set(column(tmp_path / "chunks.labeled.csv", "semfn_model"))


def test_environment_variables_set_options(tmp_path: Path, service: Paid) -> None:
    """The help names a variable beside each option, and it works; the option beats it."""
    path = written(tmp_path, [("id", "text"), ("1", "a"), ("2", "b")])
    shown = semfn("run", "--help").stdout
    for name in ("SEMFN_RUN_TOPIC", "SEMFN_RUN_LIMIT", "SEMFN_RUN_JSON"):
        assert f"env var: {name}" in " ".join(shown.split())
    env: dict[str, str | None] = {
        "SEMFN_RUN_TOPIC": "T",
        "SEMFN_RUN_LIMIT": "1",
        "SEMFN_RUN_JSON": "1",
    }
    result = semfn("run", path, env=service.environment() | env)
    assert (0, 1) == (result.exit_code, json.loads(result.stdout)["rows"]), result.stderr
    result = semfn("run", path, "--limit", 2, env=service.environment() | env)
    assert 2 == json.loads(result.stdout)["rows"]


def test_paths_stay_as_they_were_typed(
    tmp_path: Path, service: Paid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is printed and kept as it was given."""
    table(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    printed = run(service, "chunks.csv")
    assert "\nOutput: chunks.labeled.csv\n" in printed
    assert "\nLedger: chunks.labeled.csv.semfn.sqlite\n" in printed
    assert "\nResults: chunks.labeled.csv.run-results.json\n" in printed


def test_rate_limits_do_not_fill_the_screen(tmp_path: Path) -> None:
    """Requests that are refused by a limit end labelled, and none has a line of its own."""
    with paid_service(rpm=600) as service:
        service.use_up_requests(600)
        arguments = ("run", table(tmp_path, 40), "--max-chunks-per-request", 1, "--json")
        result = semfn(*arguments, env=service.environment())
    found = json.loads(result.stdout)
    assert (40, True) == (found["labeled"], found["requests"]["refused"] > 0)
    assert "slow down" not in result.stderr
    assert len(result.stderr.splitlines()) <= 15  # events, labels, two routes, paths


def test_two_models_are_told_before_anything_is_sent(tmp_path: Path, service: Paid) -> None:
    """The line stands before the estimate; routes of one model need none."""
    two = run(service, table(tmp_path, 3), "--topic", "T", "--route", "realtime,rest", "--fresh")
    lines = two.splitlines()
    (told,) = [place for place, line in enumerate(lines) if line.startswith("Two models or more")]
    assert lines[told + 1].startswith("3 rows. Estimate")
    one = run(service, table(tmp_path, 3), "--topic", "T", "--route", "responses-ws,rest")
    assert "Two models" not in one


def test_the_local_service_makes_no_confidence_up(tmp_path: Path) -> None:
    """Its probabilities are simulated, so the column is empty, also on the route that has them."""
    result = semfn("run", table(tmp_path, 3), "--local", "--route", "decisions")
    assert 0 == result.exit_code, result.output
    output = tmp_path / "chunks.labeled.csv"
    assert (["decisions"] * 3, [""] * 3) == (
        column(output, "semfn_route"),
        column(output, "semfn_confidence"),
    )


def test_a_service_tier_is_asked_for_and_kept(tmp_path: Path, service: Paid) -> None:
    """The summary names the one that was asked for, and those that served."""
    run(service, table(tmp_path, 3), "--service-tier", "flex")
    summary = json.loads((tmp_path / "chunks.labeled.csv.run-results.json").read_text("utf-8"))
    assert "flex" == summary["record"]["service_tier"]
    assert ["flex"] == json.loads(summary["record"]["responses-ws in effect"])["service_tiers"]


def test_an_unknown_service_tier_is_refused_before_sending(tmp_path: Path, service: Paid) -> None:
    """One sentence with the values there are."""
    printed = run(service, table(tmp_path, 3), "--service-tier", "cheap", code=2)
    assert "Use one of auto, default, flex" in printed
    assert 0 == service.chunks


def test_a_service_that_answers_with_another_model_is_told_of(tmp_path: Path) -> None:
    """Cost by the price of the model that is reported, and a line that names both."""
    own = digest_answerer(LabelSet.load("ten_functions").keys)
    costs = []
    for model in ("gpt-6-luna-2026-09-22", "gpt-6.1-sol"):
        with paid_service(answerer=replace(own, name=model)) as service:
            result = semfn(
                *("run", table(tmp_path, 3), "--topic", "T", "--route", "rest", "--json"),
                *("--fresh",),
                env=service.environment(),
            )
        assert 0 == result.exit_code, result.output
        (entry,) = json.loads(result.stdout)["routes"]
        assert (model, "gpt-6-luna") == (entry["model"], entry["asked_model"])
        told = f"Exception: rest was asked for gpt-6-luna and answered as {model}" in result.stderr
        assert told == (model == "gpt-6.1-sol")
        costs.append(entry["cost_usd"])
    assert costs[1] > 2 * costs[0] > 0
