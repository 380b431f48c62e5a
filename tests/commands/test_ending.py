"""The same error ends every command in the same way."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr
from typing import NoReturn

import click
import pytest

from analysis.commands.ending import code_of_stop, ended
from analysis.errors import (
    AnalysisError,
    ConfigurationError,
    InputError,
    LedgerError,
    TransportError,
)
from analysis.records import StopCause


def raising(error: BaseException) -> NoReturn:
    """Raise an error, where an expression is wanted."""
    raise error


class Gone(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("why"), 2),
        (InputError("why"), 2),
        (TransportError("why"), 3),
        (AnalysisError("why"), 3),
        (LedgerError("why"), 5),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    error: AnalysisError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its notes, and without a traceback."""
    error.add_note("What is paid for: x")
    assert code == ended(lambda: raising(error))
    assert ("", "Error: why\nWhat is paid for: x\n") == capsys.readouterr()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interruption_is_130(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    """In the words of the command, also from within a question."""
    assert 130 == ended(lambda: raising(error), interrupted=lambda: "No result.")
    assert "No result.\n" == capsys.readouterr().err


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    """The traceback comes first, the sentence last."""
    assert 2 == ended(lambda: raising(ConfigurationError("why")), is_debug=True)
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith("\nError: why\n")


def test_an_error_that_nobody_reads_keeps_its_exit_code() -> None:
    """A closed stderr is no other error."""
    with redirect_stderr(Gone()):
        assert sys.stderr is not sys.__stderr__
        assert 5 == ended(lambda: raising(LedgerError("why")))


def test_work_that_is_done_says_its_own_code() -> None:
    """A bug of ours is not hidden behind an exit code."""
    assert 1 == ended(lambda: 1)
    with pytest.raises(ZeroDivisionError):
        ended(lambda: 1 // 0)


def test_each_cause_of_a_stop_has_a_code() -> None:
    """Those of a run."""
    expected = {None: 0, StopCause.INTERRUPTED: 130, StopCause.SERVICE: 3}
    expected |= dict.fromkeys((StopCause.BUDGET, StopCause.TIME, StopCause.FAILURES), 4)
    assert expected == {cause: code_of_stop(cause) for cause in (None, *StopCause)}
