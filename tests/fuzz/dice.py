"""Choices made by the bytes of a fuzzer.

Equal bytes make equal choices, with the fuzzer or without. A zero byte is the first choice, so a
run of zeros is the plain course of things; when the bytes are used up, every choice is the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Dice:
    """Reads choices from bytes, from the front.

    Args:
        content: What the fuzzer made.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    @property
    def is_spent(self) -> bool:
        """Whether every byte is used up."""
        return self._place >= len(self._content)

    def below(self, count: int) -> int:
        """Return a number from 0 to `count` - 1; `count` is at most 256."""
        if self.is_spent:
            return 0
        byte = self._content[self._place]
        self._place += 1
        return byte % count

    def pick(self, choices: Sequence[_T]) -> _T:
        """Return one of at most 256 choices."""
        return choices[self.below(len(choices))]

    def happens(self, one_in: int) -> bool:
        """Tell whether something happens that does so once in so many times."""
        return self.below(one_in) == one_in - 1

    def raw(self, most: int) -> bytes:
        """Return the next bytes as they are, at most so many."""
        size = self.below(most + 1)
        taken = self._content[self._place : self._place + size]
        self._place += size
        return taken
