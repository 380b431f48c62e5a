"""The raw frames of a live check, one JSON line each, with key and account masked.

io: writes one file. `wires` hands it what is sent and received; the command names the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from analysis.endpoint import NO_KEY, Endpoint
from analysis.errors import ConfigurationError

FRAME_CHARACTERS = 20_000
"""Longest text that is written of one frame; the rest is counted."""

_IDS = re.compile(r"\b(?:sk-|ek_|org-|proj_)[\w*-]{4,}|(?<=Bearer )[\w.~+/=*-]+")
"""Keys, ephemeral tokens, organisations and projects, as the service writes them."""


class Mask:
    """Takes the key and what names the account out of a text."""

    def __init__(self, endpoint: Endpoint) -> None:
        named = (
            endpoint.api_key if endpoint.api_key != NO_KEY else None,
            endpoint.organization,
            endpoint.project,
            endpoint.safety_identifier,
        )
        known = sorted((name for name in named if name), key=len, reverse=True)
        self._known = re.compile(
            "|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in known) or r"(?!)"
        )

    def __call__(self, text: str) -> str:
        """Return the text with `[masked]` in their place."""
        return _IDS.sub("[masked]", self._known.sub("[masked]", text))

    def value(self, value: object) -> object:
        """Return a JSON value with every text in it masked, names of fields aside."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {name: self.value(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(part) for part in value]
        return value


class Transcript:
    """Lines `{"at", "door", "what", "frame"}` in a new file that only its owner may read.

    Args:
        path: Of the file; None writes nothing.
        mask: Applied to every frame.
        clock: Monotonic seconds; `at` counts from the first call.

    Raises:
        ConfigurationError: If the file is there already or cannot be made.
    """

    def __init__(self, path: Path | None, *, mask: Mask, clock: Callable[[], float]) -> None:
        self._mask = mask
        self._clock = clock
        self._started_at = clock()
        self._file = None
        if path is None:
            return
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise ConfigurationError(
                f"The transcript {path} is there already. Name another file."
            ) from error
        except OSError as error:
            raise ConfigurationError(
                f"The transcript {path} cannot be written: {error.strerror or error}."
            ) from error
        self._file = os.fdopen(handle, "w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, door: str, what: str, frame: str) -> None:
        """Write one frame.

        Args:
            door: Where it passed, such as `realtime` or `POST /decisions`.
            what: `opened`, `sent`, `received`, `ping` or `closed`.
            frame: Its text.
        """
        if self._file is None:
            return
        shown, rest = frame[:FRAME_CHARACTERS], len(frame) - FRAME_CHARACTERS
        line = {
            "at": round(self._clock() - self._started_at, 4),
            "door": door,
            "what": what,
            "frame": self._mask(shown),
        }
        if rest > 0:
            line["characters_left_out"] = rest
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
