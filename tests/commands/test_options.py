"""Settings that a program hands to a command reach it."""

from __future__ import annotations

import click

from analysis.__main__ import main
from analysis.commands.options import settings_in_force
from analysis.settings import SETTINGS
from tests.commands.running import UNHURRIED


def test_settings_are_those_of_the_caller_or_the_default() -> None:
    """Also in a command inside of the group; another object is not taken for settings."""
    assert SETTINGS is settings_in_force()
    with click.Context(main, obj="something else"):
        assert SETTINGS is settings_in_force()
    with click.Context(main, obj=UNHURRIED) as outer, click.Context(main, parent=outer):
        assert UNHURRIED is settings_in_force()
