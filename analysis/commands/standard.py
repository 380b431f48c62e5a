"""Standard input and output as commands use them, also where they are closed or full.

io. A service manager may start a program without them; Python has None in their places then.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

import click

from analysis.pipeline.dialect import cause


def bytes_in() -> BinaryIO | None:
    """Return standard input, or None if it is closed."""
    return None if sys.stdin is None else sys.stdin.buffer


def bytes_out() -> BinaryIO | None:
    """Return standard output, or None if it is closed."""
    return None if sys.stdout is None else sys.stdout.buffer


def print_document(document: bytes) -> str | None:
    """Print on stdout; return why it could not be written.

    That a reader such as `head` has gone, or that stdout is closed, is no trouble.
    """
    try:
        click.echo(document, nl=False)
    except OSError as error:
        # What is buffered is flushed at the end of Python, which would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            return f"Cannot write the standard output: {cause(error)}."
    return None
