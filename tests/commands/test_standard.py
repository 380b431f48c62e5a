"""Standard input and output that are closed or full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="closed streams as POSIX shells have them")

ROOT = str(Path(__file__).parents[2])


def said_by(code: str, redirection: str) -> str:
    """Return what Python code says on stderr with its streams redirected by a shell."""
    line = f"from analysis.commands.standard import *; import sys; {code}"
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, line],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stderr


def test_closed_streams_are_none() -> None:
    """They have no bytes that could be read or written."""
    code = "print(bytes_in(), bytes_out(), file=sys.stderr)"
    assert "None None\n" == said_by(code, "<&- >&-")


@pytest.mark.parametrize(
    ("redirection", "trouble"),
    [
        (">&-", "None"),
        ("| :", "None"),
        (">/dev/full", "Cannot write the standard output: No space left on device."),
    ],
)
def test_a_document_that_cannot_be_printed_says_why(redirection: str, trouble: str) -> None:
    """A reader that has gone, or never was, is no trouble; and the end of Python is quiet."""
    if redirection == ">/dev/full" and not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    code = "print(print_document(b'x' * 1_000_000), file=sys.stderr)"
    assert f"{trouble}\n" == said_by(code, redirection)
