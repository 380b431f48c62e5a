"""Whether a file that lies where an output goes may be replaced: only an output of the same kind.

io: looks into files and into the ledger, writes nothing. The run, `export` and `vote` ask before
anything is sent or written. An empty file holds nothing to lose, and a file that only `--overwrite`
would replace stays without it.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from analysis.errors import ConfigurationError, LedgerError
from analysis.pipeline.formats import Format, format_of, is_packed
from analysis.pipeline.ledger_reading import HeldVerdicts, reading
from analysis.pipeline.output import OUTPUT_COLUMNS
from analysis.pipeline.places import RunPaths

CURE = "Pass another output with -o, or --overwrite (overwrite=True) to replace it."

_HEAD_BYTES = 1 << 20  # a header, or the first object of JSONL, is far shorter
_TAIL_BYTES = 8  # of Parquet: length of the footer, and PAR1


def check_run_outputs(paths: RunPaths, sources: Sequence[str]) -> None:
    """Refuse a run that would replace anything but what a run of its own ledger wrote there.

    Args:
        paths: Of the run.
        sources: Names of its inputs, one for each output.

    Raises:
        ConfigurationError: Names the file, why it stays, and the cure.
    """
    for partial in paths.partials:
        if _is_taken(partial):
            check_kind(partial, OUTPUT_COLUMNS, "labels of a stopped run")
    for output, home, source in zip(paths.outputs, paths.homes, sources, strict=True):
        if output != home or not _is_taken(output):
            continue
        check_kind(output, OUTPUT_COLUMNS, "labels of a run")
        if not _is_known(paths.ledger, source):
            raise ConfigurationError(
                f"{output} holds labels already, and the ledger of this run, {paths.ledger}, knows "
                f"no run over an input named {source}: they belong to another input or another "
                f"ledger. {CURE}"
            )
        check_ledger(output, paths.ledger, results=paths.results)


def check_again(paths: RunPaths, sources: Sequence[str]) -> None:
    """Refuse to replace what another program or run has put in the place of an output meanwhile.

    Args:
        paths: Of the run, which is about to write.
        sources: As in `check_run_outputs`.

    Raises:
        LedgerError: Names the file and the cure; all that is paid for is in the ledger.
    """
    try:
        check_run_outputs(paths, sources)
    except ConfigurationError as error:
        raise LedgerError(
            f"{error} It was put there while this run went on. With -o, pass --ledger "
            f"{paths.ledger} as well: it has all labels, and nothing is asked again."
        ) from error


def check_kind(path: Path, columns: Sequence[str], what: str) -> None:
    """Refuse to replace a file that does not have these columns.

    Args:
        path: Where an output goes; a file that is missing or empty passes.
        columns: Names that stand there side by side, in this order.
        what: What a file with these columns holds.

    Raises:
        ConfigurationError: Names the cure.
    """
    if _is_taken(path) and not has_columns(path, columns):
        raise ConfigurationError(
            f"{path} is there already and does not hold {what}, so it stays as it is. {CURE}"
        )


def check_ledger(output: Path, ledger: Path, *, results: Path) -> None:
    """Refuse to replace an output whose results name another ledger that is there.

    A ledger that was moved, or was named from another folder, is not found by its name: then the
    columns alone count.

    Raises:
        ConfigurationError: Names both ledgers.
    """
    try:
        named = Path(json.loads(results.read_bytes())["paths"]["ledger"])
        is_other = named.exists() and not (ledger.exists() and named.samefile(ledger))
    except (OSError, ValueError, TypeError, KeyError):  # no results, or not ours: nothing is known
        return
    if is_other:
        raise ConfigurationError(
            f"{output} is the output of the ledger {named}, and this one is {ledger}. {CURE}"
        )


def check_no_input(path: Path, sources: Iterable[str]) -> None:
    """Refuse to replace what is an input of a ledger, as far as its name and columns tell.

    Raises:
        ConfigurationError: Says which input it is.
    """
    parts = Path(os.path.abspath(path)).parts
    for source in sources:
        names = tuple(source.split("/"))
        if parts[-len(names) :] == names and _is_taken(path) and not has_columns(path):
            raise ConfigurationError(
                f"{path} has the name of {source}, an input of the ledger, and holds no labels: "
                "its texts would be lost. Pass another output with -o."
            )


def has_columns(path: Path, columns: Sequence[str] = OUTPUT_COLUMNS) -> bool:
    """Tell whether a table has columns of these names side by side, in this order.

    Its format is the one that its name tells; of JSONL and Parquet the names count, not the order.
    A file that cannot be read has none.
    """
    try:
        form = format_of(path)
        if form is Format.PARQUET:
            footer = _footer(path)
            return all(name.encode() in footer for name in columns)
        with gzip.open(path, "rb") if is_packed(path) else path.open("rb") as raw:
            head = raw.readline(_HEAD_BYTES) if form is Format.JSONL else raw.read(_HEAD_BYTES)
        if form is Format.JSONL:
            return set(columns) <= set(json.loads(head).keys())
    except (OSError, EOFError, zlib.error, ValueError, AttributeError, RecursionError):
        return False
    # Whichever delimiter; another program may have put quotes around the names.
    first, *others = (f'"?{re.escape(name)}"?' for name in columns)
    text = head.decode("utf-8", errors="replace")
    return re.search(f"{first}(.)" + r"\1".join(others), text) is not None


def _footer(path: Path) -> bytes:
    """Return the bytes of a Parquet file in which its columns are named."""
    with path.open("rb") as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(max(0, size - _TAIL_BYTES))
        tail = raw.read()
        raw.seek(max(0, size - _TAIL_BYTES - int.from_bytes(tail[:4], "little")))
        return raw.read() if tail.endswith(b"PAR1") else b""


def _is_taken(path: Path) -> bool:
    """Tell whether a file with content is there; folders and devices are refused elsewhere."""
    return path.is_file() and path.stat().st_size > 0


def _is_known(ledger: Path, source: str) -> bool:
    """Tell whether a ledger has a run over an input; one that cannot be read is told of later."""
    if not ledger.exists():
        return False
    try:
        with reading(ledger) as held:
            return _has_run(held, source)
    except LedgerError:
        return True  # the run opens it next and says what is wrong with it


def _has_run(held: HeldVerdicts, source: str) -> bool:
    return held.last_facts(source) is not None
