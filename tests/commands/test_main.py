"""The program itself: its commands, their help, and names that are mistyped."""

from __future__ import annotations

import io

import click
import pytest
from click.testing import CliRunner

from analysis import __version__
from analysis.__main__ import main, prepare
from tests.commands.running import semfn


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands_and_an_example(option: str) -> None:
    """The short and the long option show each command with what it does."""
    result = semfn(option)
    assert 0 == result.exit_code
    for part in ("label-sets", "run  ", "simulate", "Example: semfn run"):
        assert part in result.stdout


@pytest.mark.parametrize("command", ["bench", "check", "label-sets", "run", "simulate"])
def test_each_command_has_help(command: str) -> None:
    """Each listed command can be loaded and explains its options."""
    result = semfn(command, "--help")
    assert (0, "") == (result.exit_code, result.stderr)
    assert f"Usage: semfn {command}" in result.stdout


def test_version_is_that_of_the_package() -> None:
    """One line with the name and the version."""
    assert f"semfn, version {__version__}\n" == semfn("--version").stdout


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("rnu", " Did you mean 'run'?"), ("lable-set", " Did you mean 'label-sets'?"), ("xyz", "")],
)
def test_unknown_command_names_the_nearest(typed: str, hint: str) -> None:
    """Exit 2 with what was probably meant and with all commands."""
    result = semfn(typed)
    commands = "bench, check, estimate, evaluate, export, label-sets, prove, run, simulate, vote"
    message = f"Error: There is no command {typed!r}.{hint} Commands: {commands}.\n"
    assert 2 == result.exit_code
    assert result.stderr.endswith(message)


def test_no_command_shows_the_help() -> None:
    """`semfn` alone says what there is."""
    assert "Commands:" in semfn().output


def test_unknown_option_names_the_nearest() -> None:
    """Options of the program itself, too."""
    result = semfn("--verison")
    assert 2 == result.exit_code
    assert "Did you mean '--version'?" in result.stderr


@pytest.mark.parametrize(
    ("is_stated", "expected"), [(False, "主题 ё".encode()), (True, b"\\u4e3b\\u9898 \xb8")]
)
def test_stdout_takes_all_texts(is_stated: bool, expected: bytes) -> None:
    """A file gets UTF-8 on every machine; one that the user states is kept, with escapes."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1251")
    prepare(stream, is_stated=is_stated)
    stream.write("主题 ё")
    stream.flush()
    assert expected == raw.getvalue()


def test_a_command_prints_chinese_under_another_code_page() -> None:
    """Aliases in all languages once ended in a traceback."""
    runner = CliRunner(charset="cp1251", env={"PYTHONIOENCODING": None})
    result = runner.invoke(main, ["label-sets", "show", "ten_functions"])
    assert 0 == result.exit_code
    assert "举例" in result.stdout_bytes.decode("utf-8")


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_a_command_that_is_interrupted_ends_with_130(error: type[BaseException]) -> None:
    """Not with 1, which is the code of a run with failed rows; so it is while modules load."""

    class Loading(type(main)):  # type: ignore[misc] # the group of the program
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            raise error

    result = CliRunner().invoke(Loading("semfn"), ["run"])
    assert (130, "Interrupted.") == (result.exit_code, result.stderr.strip())
