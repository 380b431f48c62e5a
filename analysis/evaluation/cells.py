"""From the cells of a table to label keys; what cannot be read is gathered and refused.

Pure. `commands.evaluate` uses one reader per table.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.errors import InputError
from analysis.evaluation.mapping import Mapping, folded
from analysis.evaluation.rows import Labels, shown
from analysis.labels.label_set import LabelSet
from analysis.labels.spelling import listed, near_hint

_SHOWN = 5


class LabelReader:
    """Reads label cells of one table.

    Call `read` for every row, then `check` once: it names all spellings that are unknown, so that
    one look at the table is enough.
    """

    def __init__(
        self,
        label_set: LabelSet,
        *,
        mapping: Mapping | None = None,
        separator: str | None = None,
    ) -> None:
        """Begin.

        Args:
            label_set: Knows keys, names in all languages and aliases.
            mapping: For gold labels of a corpus; then only its spellings are known.
            separator: What stands between several labels in one cell; None means that a cell holds
                one label.
        """
        self._set = label_set
        self._mapping = mapping
        self._separator = separator
        self._cells: dict[str, tuple[str | None, ...]] = {}  # cell -> keys; see `_key`
        self._unknown: dict[str, tuple[int, int]] = {}  # spelling -> first row, how often
        self._found: dict[Labels, Labels] = {}  # rows with the same labels share them

    def read(self, cells: Sequence[str], row: int) -> Labels | None:
        """Return the keys that the cells of one row name, without repeats, or None if ignored.

        A row is ignored if the mapping ignores one of its labels.
        """
        found: dict[str, None] = {}
        is_ignored = False
        for cell in cells:
            keys = self._cells.get(cell)
            if keys is None:
                keys = self._cells[cell] = tuple(map(self._key, self._parts(cell)))
            for key in keys:
                if key:
                    found[key] = None
            if None in keys:
                self._note(cell, row)
            is_ignored = is_ignored or "" in keys
        if is_ignored:
            return None
        labels = tuple(found)
        return self._found.setdefault(labels, labels)

    def _parts(self, cell: str) -> list[str]:
        parts = [cell] if self._separator is None else cell.split(self._separator)
        return [part.strip() for part in parts if part.strip()]

    def _key(self, part: str) -> str | None:
        """Return the key that a spelling stands for, empty if it is ignored, None if unknown."""
        if self._mapping is None:
            return self._set.key_of(part)
        name = folded(part)
        return "" if name in self._mapping.ignore else self._mapping.gold.get(name)

    def _note(self, cell: str, row: int) -> None:
        """Keep the unknown spellings of a cell for `check`."""
        for part in self._parts(cell):
            if self._key(part) is None:
                first, count = self._unknown.get(part, (row, 0))
                self._unknown[part] = first, count + 1

    def check(self, where: str, cure: str) -> None:
        """Refuse the table if a spelling was unknown.

        Args:
            where: The column, for the message.
            cure: What else can be done, one sentence.

        Raises:
            InputError: With the spellings, how often, the first row and the nearest name of each.
        """
        if not self._unknown:
            return
        names = self._names()
        hints = [near_hint(folded(text), names) for text in list(self._unknown)[:_SHOWN]]
        parts = [
            f"{shown(text)} ({count} x, first row {row}{hint})"
            for hint, (text, (row, count)) in zip(hints, self._unknown.items(), strict=False)
        ]
        more = len(self._unknown) - len(parts)
        rest = f" and {more} more" if more > 0 else ""
        reader = f"the label set {self._set.name}"
        if self._mapping is not None:
            reader = f"the mapping {self._mapping.name}"
        known = "" if all(hints) else f" It knows {listed(dict.fromkeys(names.values()))}."
        raise InputError(
            f"{where} holds labels that {reader} does not know: {', '.join(parts)}{rest}.{known} "
            f"{cure}"
        )

    def _names(self) -> dict[str, str]:
        """Return what can be read, folded -> as it is shown."""
        if self._mapping is not None:
            return {name: name for name in self._mapping.gold}
        return {
            folded(name): label.key
            for label in self._set.labels
            for name in (label.key, *label.names.values(), *label.aliases)
        }
