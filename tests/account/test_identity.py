"""Names of accounts tell nothing about keys, and files are for their owner alone."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from analysis.account.identity import account_name, lock_of, replace_file, state_folder

KEY = "sk-secret"


def test_the_state_folder_is_that_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named after the tool; asking for it makes nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere/state")
    assert "semfn" == state_folder().name
    assert not state_folder().exists()


def test_a_name_is_equal_for_equal_host_and_key(tmp_path: Path) -> None:
    """And another one for any other host, key or folder."""
    name = account_name(tmp_path / "a", host="h", api_key=KEY)
    assert name == account_name(tmp_path / "a", host="h", api_key=KEY)
    others = {
        account_name(tmp_path / "a", host="i", api_key=KEY),
        account_name(tmp_path / "a", host="h", api_key=KEY + "x"),
        account_name(tmp_path / "b", host="h", api_key=KEY),
    }
    assert 3 == len(others - {name})
    assert 16 == len(name)
    assert set(name) <= set("0123456789abcdef")


def test_a_name_cannot_be_tried_with_a_key_alone(tmp_path: Path) -> None:
    """Without the salt, hashes of the key or of host and key are other ones; no file holds it."""
    name = account_name(tmp_path, host="h", api_key=KEY)
    for text in (KEY, f"h{KEY}", f"h\0{KEY}", f"semfn account\0h\0{KEY}"):
        assert name not in hashlib.sha256(text.encode()).hexdigest()
    for path in tmp_path.rglob("*"):
        assert KEY.encode() not in path.read_bytes()


def test_a_damaged_salt_is_replaced(tmp_path: Path) -> None:
    """Names change with it, so what was learned is learned anew."""
    before = account_name(tmp_path, host="h", api_key=KEY)
    (tmp_path / "salt").write_bytes(b"short")
    after = account_name(tmp_path, host="h", api_key=KEY)
    assert before != after
    assert after == account_name(tmp_path, host="h", api_key=KEY)


@pytest.mark.skipif(os.name != "posix", reason="rights of files are those of POSIX")
def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Folder, salt and lock."""
    folder = tmp_path / "state"
    account_name(folder, host="h", api_key=KEY)
    assert 0o700 == folder.stat().st_mode & 0o777
    for path in folder.iterdir():
        assert 0o600 == path.stat().st_mode & 0o777


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """A draft of a process that died is no hindrance, and none is left."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.with_name("file.draft").write_bytes(b"half of so")
    with lock_of(path):
        replace_file(path, b"new")
    assert b"new" == path.read_bytes()
    assert {"file", "file.lock"} >= {one.name for one in tmp_path.iterdir()}


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    """So the caller can go on without."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"."):
        account_name(tmp_path / "file" / "state", host="h", api_key=KEY)
