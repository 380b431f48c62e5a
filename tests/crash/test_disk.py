"""The disk of the model: what is durable, what may be lost, what may be torn."""

from __future__ import annotations

import random

import pytest

from tests.crash.disk import Content, Disk, Names
from tests.crash.tracing import Call


def call(name: str, rest: str, result: int = 0) -> Call:
    """Return a call with its paths and strings in plain letters, in quotes or angle brackets."""

    def hexed(text: str) -> str:
        return "".join(f"\\x{byte:02x}" for byte in text.encode())

    for mark, end in (('"', '"'), ("<", ">")):
        parts = rest.split(mark) if mark == end else rest.replace(end, mark).split(mark)
        parts[1::2] = [hexed(part) for part in parts[1::2]]
        rest = "".join(
            part if place % 2 == 0 else f"{mark}{part}{end}" for place, part in enumerate(parts)
        )
    return Call(thread=1, name=name, begun=0, rest=f"{rest}) = {result}", result=result)


OPENED = call("openat", 'AT_FDCWD</d>, "/d/f", O_RDWR|O_CREAT, 0600', 3)
WRITTEN = call("pwrite64", f'3</d/f>, "{"a" * 2_000}", 2000, 0', 2_000)
SYNCED = call("fsync", "3</d/f>")
FOLDER = call("fsync", "4</d>")
RENAMED = call("rename", '"/d/f", "/d/g"')


def after(content: Content, names: Names, *calls: Call, seed: int = 1) -> dict[str, bytes]:
    """Return what is on the disk after these calls and a power cut."""
    disk = Disk({"/d/old": b"old"})
    for one in calls:
        disk.apply(one)
    return disk.after_power_loss(content, names, random.Random(seed))


def test_without_a_sync_all_of_it_may_be_gone() -> None:
    """The name may be lost, and with the name kept the bytes."""
    calls = (OPENED, WRITTEN)
    assert {"/d/old": b"old"} == after(Content.LOST, Names.LOST, *calls)
    assert {"/d/old": b"old", "/d/f": b""} == after(Content.LOST, Names.KEPT, *calls)
    assert {"/d/old": b"old", "/d/f": b"a" * 2_000} == after(Content.KEPT, Names.KEPT, *calls)


def test_a_sync_of_file_and_folder_keeps_both() -> None:
    """What was written before them is there in every mode."""
    calls = (OPENED, WRITTEN, SYNCED, FOLDER)
    for content in Content:
        for names in Names:
            assert b"a" * 2_000 == after(content, names, *calls)["/d/f"]


def test_a_rename_without_a_sync_of_the_folder_may_be_undone() -> None:
    """The file has its old name then, with the bytes that were synced."""
    calls = (OPENED, WRITTEN, SYNCED, FOLDER, RENAMED)
    lost = after(Content.LOST, Names.LOST, *calls)
    assert (b"a" * 2_000, None) == (lost["/d/f"], lost.get("/d/g"))
    kept = after(Content.LOST, Names.KEPT, *calls)
    assert (b"a" * 2_000, None) == (kept["/d/g"], kept.get("/d/f"))


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_write_keeps_whole_sectors(seed: int) -> None:
    """Each sector is as it was written or as it was before."""
    found = after(Content.TORN, Names.KEPT, OPENED, WRITTEN, seed=seed)["/d/f"]
    sectors = [found[place : place + 512] for place in range(0, len(found), 512)]
    assert all(len(set(sector)) == 1 for sector in sectors)


def test_writes_without_an_offset_follow_each_other() -> None:
    """The place moves on with each write, and a size can be cut."""
    writes = [call("write", f'3</d/f>, "{text}", 2', 2) for text in ("ab", "cd")]
    cut = call("ftruncate", "3</d/f>, 3")
    found = after(Content.KEPT, Names.KEPT, OPENED, *writes, cut)
    assert b"abc" == found["/d/f"]
