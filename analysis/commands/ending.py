"""How a command ends: its exit code, and what is said where it did not do its work.

io: writes lines on stderr. Every command whose work raises errors of this package goes through it,
so that the same error has the same exit code everywhere.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from analysis.errors import AnalysisError
    from analysis.records import StopCause

INTERRUPTED_CODE = 130


def ended(
    work: Callable[[], int],
    *,
    is_debug: bool = False,
    interrupted: Callable[[], str] = lambda: "Interrupted.",
) -> int:
    """Do the work of a command and return its exit code.

    Args:
        work: Returns the exit code if nothing is raised.
        is_debug: Show the traceback of an error, too.
        interrupted: Returns what is said after Ctrl-C.
    """
    from analysis.errors import AnalysisError

    try:
        return work()
    except (KeyboardInterrupt, click.Abort):
        say(interrupted())
        return INTERRUPTED_CODE
    except AnalysisError as error:
        if is_debug:
            traceback.print_exc()
        for line in (f"Error: {error}", *getattr(error, "__notes__", ())):
            say(line)
        return code_of(error)


def code_of(error: AnalysisError) -> int:
    """Return the exit code for an error: who can do something about it."""
    from analysis.errors import ConfigurationError, LedgerError

    match error:
        case ConfigurationError():
            return 2
        case LedgerError():
            return 5
        case _:
            return 3


def code_of_stop(cause: StopCause | None) -> int:
    """Return the exit code of paid work that ended early, or did not."""
    from analysis.records import StopCause

    match cause:
        case None:
            return 0
        case StopCause.INTERRUPTED:
            return INTERRUPTED_CODE
        case StopCause.BUDGET | StopCause.TIME | StopCause.FAILURES:
            return 4
        case StopCause.SERVICE:
            return 3


def say(message: str) -> None:
    """Write a line on stderr; if nobody reads it any more, the exit code still tells."""
    from analysis.commands.wording import printable

    with contextlib.suppress(OSError):
        click.echo(printable(message), err=True)
