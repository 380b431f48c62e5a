"""A file that takes the tape of a run; what goes wrong with it does not touch the run.

io. Whoever starts a run that is to be recorded opens one and hands its `write` to the dispatcher.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TextIO

BUFFER_BYTES = 1_048_576
"""What a crash can lose of the tape; a tape whose last line is cut off still plays."""


class Recording:
    """One file with the lines of one run, to be used with `with`.

    Attributes:
        path: Where it is.
        error: Why it takes nothing any more, or None.
    """

    def __init__(self, path: Path) -> None:
        """Create the file, readable for its owner only.

        Raises:
            OSError: If it exists or cannot be created.
        """
        self.path = path
        self.error: OSError | None = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._file = self._opened(os.open(path, flags, 0o600))

    @classmethod
    def of(cls, handle: int, path: Path) -> Recording:
        """Return a recording into a file that is open already; it is closed with the recording."""
        recording = cls.__new__(cls)
        recording.path, recording.error = path, None
        recording._file = cls._opened(handle)
        return recording

    @staticmethod
    def _opened(handle: int) -> TextIO:
        return os.fdopen(handle, "w", BUFFER_BYTES, "utf-8")

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, line: str) -> None:
        """Take a line; after an error of the disk nothing is taken any more."""
        if self.error is None:
            try:
                self._file.write(line + "\n")
            except OSError as error:
                self.error = error

    def close(self) -> None:
        """Write out what is left and close the file; may be repeated."""
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or error
