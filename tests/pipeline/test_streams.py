"""Standard input as a private file."""

from __future__ import annotations

import gzip
import io
import os
import stat
from pathlib import Path

import pytest

from analysis.errors import ConfigurationError, InputError, LedgerError
from analysis.pipeline.streams import spooled
from analysis.pipeline.tables import open_table, scan
from tests.pipeline.table_files import assert_says, refusal


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"id,text\n1,a\n", "stdin.csv"),
        (b"id\ttext\n1\ta\n", "stdin.csv"),
        (b'{"text": "a"}\n', "stdin.jsonl"),
        (b'\xef\xbb\xbf\n  {"text": "a"}\n', "stdin.jsonl"),
        (gzip.compress(b"text\na\n"), "stdin.csv.gz"),
        (gzip.compress(b'{"text": "a"}\n'), "stdin.jsonl.gz"),
        (b"PAR1....", "stdin.parquet"),
        (b"\x1f\x8bno gzip at all", "stdin.csv.gz"),
    ],
)
def test_first_bytes_tell_the_format(tmp_path: Path, data: bytes, name: str) -> None:
    """The copy has the bytes, a name for them, and no reader but the user; then it is gone."""
    with spooled(io.BytesIO(data), parent=tmp_path) as spool:
        assert (name, data) == (spool.path.name, spool.path.read_bytes())
        assert 0o600 == stat.S_IMODE(spool.path.stat().st_mode)
        assert 0o700 == stat.S_IMODE(spool.path.parent.stat().st_mode)
    assert [] == os.listdir(tmp_path)


def test_copy_is_removed_when_the_work_fails(tmp_path: Path) -> None:
    """Also on Ctrl-C."""
    with pytest.raises(KeyboardInterrupt), spooled(io.BytesIO(b"text\na\n"), parent=tmp_path):
        raise KeyboardInterrupt
    assert [] == os.listdir(tmp_path)


def test_same_bytes_have_the_same_digest(tmp_path: Path) -> None:
    """So a second run finds the ledger of the first one."""
    digests = []
    for data in (b"text\na\n", b"text\na\n", b"text\nb\n"):
        with spooled(io.BytesIO(data), parent=tmp_path) as spool:
            digests.append(spool.digest)
    assert digests[0] == digests[1] != digests[2]
    assert 32 == len(digests[0])


def test_errors_name_the_standard_input(tmp_path: Path) -> None:
    """No path of a temporary file stands in a message."""

    def read(data: bytes) -> None:
        with spooled(io.BytesIO(data), parent=tmp_path) as spool:
            scan(open_table(spool.path, source="-", topic="t"))

    message = refusal(lambda: read(b"id,text\n1,a\n1\n"))
    assert message.startswith("standard input, line 3 (row 2): 1 cells")
    assert refusal(lambda: read(b'{"text": 1}')).startswith("standard input, line 1: ")
    assert_says(refusal(lambda: read(b"id,words\n")), "standard input has no column 'text'")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    """Only messages of the package are touched."""
    with (
        pytest.raises(ConfigurationError, match="mine"),
        spooled(io.BytesIO(b"x"), parent=tmp_path),
    ):
        raise ConfigurationError("mine")


def test_empty_stream_is_refused(tmp_path: Path) -> None:
    """Nothing came through the pipe."""
    message = refusal(lambda: spooled(io.BytesIO(), parent=tmp_path).__enter__())
    assert_says(message, "standard input is empty")
    assert [] == os.listdir(tmp_path)


class Failing(io.BytesIO):
    """A stream that breaks."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(5, "Input/output error")


def test_stream_that_breaks_is_an_input_error(tmp_path: Path) -> None:
    """Its cause is told."""
    message = refusal(lambda: spooled(Failing(), parent=tmp_path).__enter__(), InputError)
    assert_says(message, "Cannot read standard input: Input/output error")
    assert [] == os.listdir(tmp_path)


def test_full_disk_is_a_ledger_error(tmp_path: Path) -> None:
    """The message names the folder's cure."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        message = refusal(
            lambda: spooled(io.BytesIO(bytes(9_000)), parent=tmp_path).__enter__(), LedgerError
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_says(message, "Cannot keep standard input", "TMPDIR")
    assert [] == os.listdir(tmp_path)
