"""The label set files of users.

Io: reads a file. Only `LabelSet.load` calls it, for names that are those of files.
"""

from __future__ import annotations

from pathlib import Path

from analysis.errors import ConfigurationError

LARGEST_BYTES = 1_000_000
"""A set of forty labels with all names and definitions has some 40,000 bytes."""


def read_set_file(path: str) -> str:
    """Return the text of a file.

    Raises:
        ConfigurationError: If it cannot be read, is too large, or is not UTF-8; says which.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"Label set file {path} cannot be read: {cause}. Check the path; the names of the sets "
            "that exist without a file are listed by semfn label-sets."
        ) from error
    if len(content) > LARGEST_BYTES:
        raise ConfigurationError(
            f"Label set file {path} has more than {LARGEST_BYTES:,} bytes, so it is none. Check "
            "the path."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"Label set file {path}, line {line}: not UTF-8. Save the file as UTF-8."
        ) from error
