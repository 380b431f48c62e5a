"""Prints what the conformance tests have checked."""

from __future__ import annotations

import pytest

from tests.conformance.counted import table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of checked frames if there is one."""
    lines = table()
    if lines:
        terminalreporter.section("frames and bodies checked")
        for line in lines:
            terminalreporter.write_line(line)
