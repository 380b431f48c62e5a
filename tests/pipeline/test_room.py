"""Disks with too little room are found before a run, and a reserve is held and given back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.pipeline.places import RunPaths
from analysis.pipeline.room import RESERVE_BYTES, Shortage, reserve, shortage_of
from tests.commands.examples import ESTIMATE

MB = 1_000_000


def found(
    folder: Path, free: Mapping[str, int], *, to_do: int = 10_000, output: str = "out/a.csv"
) -> Shortage | None:
    """Look at a run of 10,000 rows with its ledger and its output on disks of their own."""
    paths = RunPaths(
        outputs=(Path(output) if output == "-" else folder / output,),
        homes=(folder / "out/a.csv",),
        ledger=folder / "kept/a.sqlite",
        results=folder / "out/a.json",
    )
    return shortage_of(
        paths,
        [folder / "in.csv"],
        rows=10_000,
        estimate=replace(ESTIMATE, chunks=to_do, requests=1_000),
        free=lambda place: free[place.name],
        device=lambda place: list(free).index(place.name),
    )


def test_a_disk_that_will_not_hold_its_file_is_found(tmp_path: Path) -> None:
    """Rows, requests and the log of the ledger; the input and its labels in the output."""
    (tmp_path / "in.csv").write_bytes(bytes(3 * MB))
    ample = {"kept": 7 * MB, "out": 4 * MB}
    assert found(tmp_path, ample) is None
    ledger = found(tmp_path, ample | {"kept": 6 * MB})
    assert ledger is not None
    assert ("kept", 6 * MB, (4 << 20) + 2_000_000 + 250_000) == (
        ledger.folder.name,
        ledger.free_bytes,
        ledger.needed_bytes,
    )
    output = found(tmp_path, ample | {"out": 3 * MB})
    assert output is not None
    assert ("out", 3_700_000) == (output.folder.name, output.needed_bytes)
    assert found(tmp_path, ample | {"out": 3 * MB}, output="-") is None
    assert found(tmp_path, {"kept": 0, "out": 0}, to_do=0) is None


def test_one_disk_holds_both(tmp_path: Path) -> None:
    """What goes to the same disk is added up."""
    (tmp_path / "in.csv").write_bytes(bytes(3 * MB))
    paths = RunPaths(
        outputs=(tmp_path / "a.csv",),
        homes=(tmp_path / "a.csv",),
        ledger=tmp_path / "a.sqlite",
        results=tmp_path / "a.json",
    )
    needed = (4 << 20) + 2_250_000 + 3_700_000

    def lacking(free: int) -> Shortage | None:
        asked = replace(ESTIMATE, chunks=10_000, requests=1_000)
        inputs = [tmp_path / "in.csv"]
        return shortage_of(paths, inputs, rows=10_000, estimate=asked, free=lambda place: free)

    assert lacking(needed) is None
    expected = Shortage(folder=tmp_path, free_bytes=needed - 1, needed_bytes=needed)
    assert expected == lacking(needed - 1)


def test_a_file_system_that_does_not_tell_is_taken_to_have_room(tmp_path: Path) -> None:
    """A disk without figures does not end a run; an input that is a pipe has no size."""

    def silent(folder: Path) -> int:
        raise OSError(f"no figures of {folder}")

    paths = RunPaths(
        outputs=(tmp_path / "a.csv",),
        homes=(tmp_path / "a.csv",),
        ledger=tmp_path / "a.sqlite",
        results=tmp_path / "a.json",
    )
    inputs, asked = [tmp_path / "none.csv"], replace(ESTIMATE, chunks=1, requests=1)
    assert shortage_of(paths, inputs, rows=1, estimate=asked, free=silent) is None
    lacking = shortage_of(paths, inputs, rows=1, estimate=asked, free=lambda place: 0)
    assert lacking is not None
    assert (4 << 20) + 200 + 250 + 70 == lacking.needed_bytes


@pytest.mark.skipif(os.name != "posix", reason="sizes of nameless files")
def test_a_reserve_takes_room_without_a_name(tmp_path: Path) -> None:
    """Nothing is left in the folder, and where none can be made there is none."""
    held = reserve(tmp_path)
    assert held is not None
    assert RESERVE_BYTES <= os.fstat(held.fileno()).st_blocks * 512
    assert [] == os.listdir(tmp_path)
    held.close()
    assert reserve(tmp_path / "none") is None
