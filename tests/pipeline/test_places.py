"""Where a run reads and writes: names, folders, and files that would be two things at once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from analysis.errors import ConfigurationError
from analysis.pipeline.inputs import InputJob, open_inputs
from analysis.pipeline.places import RunPaths
from tests.commands.running import table


def paths_of(folder: Path, output: str, ledger: Path | None = None) -> RunPaths:
    """Return the paths of a run over one table with this output."""
    source = folder / "chunks.csv"
    jobs = open_inputs([source if source.exists() else table(folder)], Path(output))
    return RunPaths.of(jobs, ledger=ledger)


@pytest.mark.parametrize(
    ("output", "partial"),
    [
        ("a.labeled.csv", "a.labeled.partial.csv"),
        ("a.tsv", "a.partial.tsv"),
        ("a.jsonl", "a.partial.jsonl"),
        ("out", "out.partial"),
        ("a.csv.gz", "a.partial.csv.gz"),
        ("a.CSV.GZ", "a.partial.CSV.GZ"),
    ],
)
def test_partial_output_keeps_the_suffix(tmp_path: Path, output: str, partial: str) -> None:
    """A partial file can be opened with what opens the output; the others are named after it."""
    paths = paths_of(tmp_path, f"x/{output}")
    expected = (Path("x") / partial, Path(f"x/{output}.run-results.json"))
    assert expected == (paths.partials[0], paths.results)
    assert Path(f"x/{output}.semfn.sqlite") == paths.ledger


def test_paths_of_a_run_are_different_files(tmp_path: Path) -> None:
    """Two roles for one file are refused, also through a symbolic link."""
    source, link = table(tmp_path), tmp_path / "link.sqlite"
    output = str(tmp_path / "out.csv")
    link.symlink_to(source)
    for ledger, role in (
        (tmp_path / "out.csv", "output and ledger"),
        (tmp_path / "out.partial.csv", "partial output and ledger"),
        (tmp_path / "out.csv.run-results.json", "summary and ledger"),
        (link, "input and ledger"),
    ):
        with pytest.raises(ConfigurationError, match=f"would be both {role} of this run"):
            paths_of(tmp_path, output, ledger).check([source])
    paths_of(tmp_path, output, tmp_path / "a.sqlite").check([source])


def test_standard_output_leaves_its_ledger_beside_the_input(tmp_path: Path) -> None:
    """So the same input with an output file finds it."""
    paths = paths_of(tmp_path, "-")
    assert (Path("-"),) == paths.outputs
    assert tmp_path / "chunks.labeled.csv.semfn.sqlite" == paths.ledger
    assert (tmp_path / "chunks.labeled.partial.csv",) == paths.partials
    paths.check([tmp_path / "chunks.csv"])


def test_a_stream_has_its_ledger_in_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes through a pipe find the same ledger, whatever the copy is called."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    copy = table(tmp_path, name="stdin.csv")
    jobs = open_inputs(["-"], stdin=copy)
    paths = RunPaths.of(jobs, spool="ab12")
    assert "ab12.csv.semfn.sqlite" == paths.ledger.name
    assert paths.ledger.parent.is_dir()


def test_several_outputs_share_a_folder_that_is_made(tmp_path: Path) -> None:
    """Ledger and results lie in it, under names of their own."""
    one, two = table(tmp_path, name="a.csv"), table(tmp_path, name="b.csv")
    folder = tmp_path / "new" / "labels"
    paths = RunPaths.of(open_inputs([one, two], folder), folder=folder)
    paths.check([one, two])
    assert folder.is_dir()
    assert (folder / "semfn.sqlite", folder / "run-results.json") == (paths.ledger, paths.results)
    assert folder == paths.shown_output


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Nothing was sent, so it is a matter of the command."""
    one, two = table(tmp_path, name="a.csv"), table(tmp_path, name="b.csv")
    jobs: tuple[InputJob, ...] = open_inputs([one, two], one.parent / "c")
    (tmp_path / "c").write_text("a file")
    with pytest.raises(ConfigurationError, match="Cannot make the folder"):
        RunPaths.of(jobs, folder=tmp_path / "c").check([one, two])


def test_a_folder_without_rights_is_named(tmp_path: Path) -> None:
    """The output is refused before anything is paid for."""
    source, closed = table(tmp_path), tmp_path / "closed"
    closed.mkdir()
    closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        (closed / "probe").touch()
    except OSError:
        with pytest.raises(ConfigurationError, match="Cannot write"):
            paths_of(tmp_path, str(closed / "out.csv")).check([source])
    else:
        pytest.skip("this user may write everywhere")
