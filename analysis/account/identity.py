"""The state folder, and names for accounts that tell nothing about their keys.

io. Whoever sets up an analyzer calls it; memory and leases use the names.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from filelock import FileLock

LOCK_WAIT_S = 2.0
"""How long a process waits while another one makes or replaces a small file."""

_SALT_BYTES = 32


def state_folder() -> Path:
    """Return the folder for what semfn keeps between runs; it may not exist yet."""
    return platformdirs.user_state_path("semfn", appauthor=False)


def account_name(folder: Path, *, host: str, api_key: str) -> str:
    """Return 16 hex digits, equal for the same host and key in the same state folder.

    A secret salt in the folder keeps anybody who sees the name alone from trying keys.

    Raises:
        OSError: If the folder or the salt cannot be made or read.
    """
    secret = f"{host}\0{api_key}".encode()
    return hashlib.sha256(b"semfn account\0" + _salt(folder) + b"\0" + secret).hexdigest()[:16]


def lock_of(path: Path) -> FileLock:
    """Return the lock beside a file, to be used with `with`; makes the folder.

    Raises:
        OSError: If the folder cannot be made; on entering also `filelock.Timeout`, an OSError.
    """
    from filelock import FileLock  # takes longer than all else here, and is seldom needed

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # No fallback to a soft lock: that one outlives kill -9.
    beside = path.with_name(path.name + ".lock")
    return FileLock(beside, timeout=LOCK_WAIT_S, mode=0o600, fallback_to_soft=False)


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file for its owner alone: whole, or not at all. The caller holds its lock."""
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)  # of a process that died here
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _salt(folder: Path) -> bytes:
    path = folder / "salt"
    if (found := _read_salt(path)) is not None:
        return found
    with lock_of(path):
        if (found := _read_salt(path)) is None:  # nobody made it meanwhile
            found = os.urandom(_SALT_BYTES)
            replace_file(path, found)
    return found


def _read_salt(path: Path) -> bytes | None:
    """Return the salt; None if there is none or it is damaged."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    return found if len(found) == _SALT_BYTES else None
