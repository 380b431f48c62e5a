"""The file of a tape."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from analysis.recording import Recording


def test_lines_are_in_the_file_when_it_is_closed(tmp_path: Path) -> None:
    """One per call of `write`, in their order; closing twice is allowed."""
    path = tmp_path / "tape.jsonl"
    with Recording(path) as recording:
        recording.write("a")
        recording.write("ü")
    recording.close()
    assert ("a\nü\n", None) == (path.read_text(encoding="utf-8"), recording.error)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """It tells what somebody works on."""
    with Recording(tmp_path / "tape.jsonl") as recording:
        mode = stat.S_IMODE(recording.path.stat().st_mode)
    assert 0o600 == mode


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    """One file per run."""
    path = tmp_path / "tape.jsonl"
    path.write_text("older")
    with pytest.raises(FileExistsError):
        Recording(path)
    assert "older" == path.read_text()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_full_disk_ends_the_recording_and_nothing_else() -> None:
    """The run goes on; the error is kept for whoever asks."""
    recording = Recording.of(os.open("/dev/full", os.O_WRONLY), Path("/dev/full"))
    for _ in range(3):
        recording.write("x" * 2_000_000)
    recording.close()
    assert isinstance(recording.error, OSError)
