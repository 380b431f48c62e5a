"""The endpoint in the keys of rows: the host alone, and with its port as older ledgers have it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from analysis.pipeline.endpoint_forms import as_recorded, is_at, other_forms
from analysis.pipeline.row_keys import key_maker
from analysis.pipeline.tables import open_table
from tests.commands.running import Paid, column, paid_service, semfn, table
from tests.pipeline.ledger_samples import opened

LEDGER = "chunks.labeled.csv.semfn.sqlite"
HOST = "127.0.0.1"


def run(service: Paid, path: Path, *options: object) -> str:
    """Label a table over one service; return stderr."""
    result = semfn("run", path, "--topic", "Trains", *options, env=service.environment())
    assert 0 == result.exit_code, result.output
    return result.stderr


def age(ledger: Path, path: Path, endpoint: str) -> None:
    """Make a ledger look as an older program left it: the endpoint with its port in the keys."""
    with closing(sqlite3.connect(ledger)) as connection:
        (text,) = connection.execute("SELECT facts FROM run").fetchone()
        facts = json.loads(text) | {"endpoint": endpoint}
        names = ("label_set", "prompt", "context", "routes", "endpoint")
        key_of = key_maker({name: facts[name] for name in names})
        connection.execute("UPDATE run SET facts = ?", (json.dumps(facts),))
        for row in open_table(path, topic="Trains").rows():
            connection.execute(
                "UPDATE verdict SET key = ? WHERE id = ?", (key_of(row.chunk), row.chunk.id)
            )
        connection.commit()


def test_the_same_service_on_another_port_is_the_same(tmp_path: Path) -> None:
    """A port that is forwarded anew costs nothing; the model is in the key as before."""
    path = table(tmp_path, 5)
    with paid_service() as first:
        run(first, path)
    with paid_service() as second:
        assert "5 of them before" in run(second, path)
        assert 0 == second.chunks
        run(second, path, "--model", "gpt-6.1-sol")
        assert 5 == second.chunks


def test_a_ledger_with_ports_is_found_and_goes_on(tmp_path: Path) -> None:
    """Nothing is paid again, also over another port; what comes anew has the same form."""
    path = table(tmp_path, 5)
    with paid_service() as service:
        run(service, path, "--limit", 3)
        age(tmp_path / LEDGER, path, f"{HOST}:8000")
        assert 3 == service.chunks
        run(service, path)
        assert 5 == service.chunks
    with paid_service() as other:
        said = run(other, path)
        assert 0 == other.chunks
    assert "changed" not in said
    assert all(column(tmp_path / "chunks.labeled.csv", "semantic_function"))
    out = tmp_path / "joined.csv"
    given = ("--input", path, "--topic", "Trains", "-o", out)
    assert 0 == semfn("export", tmp_path / LEDGER, *given).exit_code
    assert all(column(out, "semantic_function"))


@pytest.mark.parametrize("is_old", [True, False])
def test_labels_of_another_ledger_serve_in_either_form(tmp_path: Path, is_old: bool) -> None:
    """With --reuse, whichever of the two ledgers has the port in its keys."""
    first, second = table(tmp_path, 5), table(tmp_path, 5, "b.csv")
    with paid_service() as service:
        run(service, first)
        run(service, second, "--limit", 1)
        old = LEDGER if is_old else "b.labeled.csv.semfn.sqlite"
        age(tmp_path / old, first, f"{HOST}:8000")
        paid = service.chunks
        said = run(service, second, "--reuse", tmp_path / LEDGER)
        assert paid == service.chunks
    assert "4 of them from another ledger" in said


def test_the_form_of_the_last_run_at_this_host_counts(tmp_path: Path) -> None:
    """A run at another host between them does not hide it."""
    ledger, key = tmp_path / "l.sqlite", {"routes": "rest=m", "endpoint": HOST}
    assert key == as_recorded(ledger, key)
    for endpoint in ("api.openai.com", f"{HOST}:1", f"{HOST}:2", "other.example:2"):
        with opened(ledger, run_facts={"endpoint": endpoint}):
            pass
    assert {**key, "endpoint": f"{HOST}:2"} == as_recorded(ledger, key)
    away = {**key, "endpoint": "new.example"}
    assert away == as_recorded(ledger, away)
    forms = other_forms([ledger], {**key, "endpoint": f"{HOST}:2"}, HOST)
    assert [HOST, f"{HOST}:1"] == [form["endpoint"] for form in forms]
    ledger.write_text("none", encoding="utf-8")
    assert key == as_recorded(ledger, key)


@pytest.mark.parametrize(
    ("host", "endpoint", "expected"),
    [
        ("a.example", "a.example", True),
        ("a.example", "a.example:443", True),
        ("a.example", "b.a.example:443", False),
        ("a.example", "a.example:x", False),
        ("[::1]", "[::1]:80", True),
        ("[::1]", "[::1]", True),
        ("embedded", "embedded", True),
        ("embedded", "", False),
    ],
)
def test_a_port_is_the_number_behind_the_host(host: str, endpoint: str, expected: bool) -> None:
    """Brackets keep the colons of an IPv6 address apart."""
    assert expected == is_at(host, endpoint)
