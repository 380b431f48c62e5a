"""The inputs of one run: files, folders of files, standard input; and where each output goes.

io. The run opens them all before anything is sent. Nothing is written here, no folder is made.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.errors import ConfigurationError, InputError
from analysis.pipeline.dialect import cause
from analysis.pipeline.formats import STREAM, known_format, known_suffixes
from analysis.pipeline.output import default_output
from analysis.pipeline.sinks import check_sink
from analysis.pipeline.tables import Table, open_table

OUR_OUTPUTS = (".labeled.", ".partial.")
"""In the name of a file that a run wrote; a folder's inputs are without these."""


SHOWN_FILES = 5
"""Names of files that a note lists."""

_BESIDE_OUTPUTS = (".semfn.sqlite", "run-results.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputJob:
    """One input of a run and its output.

    Attributes:
        table: The opened input.
        output: Where its labeled table goes; `-` is standard output. Its folder may be missing:
            the run makes it.
    """

    table: Table
    output: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A file with the parts of its absolute path, by which inputs are told apart."""

    path: Path
    parts: tuple[str, ...]


def open_inputs(
    inputs: Sequence[Path | str],
    output: Path | str | None = None,
    *,
    stdin: Path | None = None,
    **options: Any,
) -> tuple[InputJob, ...]:
    """Open all inputs of a run and decide where their outputs go.

    Of a folder the files with a known suffix are taken that lie directly in it, sorted by name,
    without hidden files and outputs of this program. Inputs of the same file name are told apart
    by as much of their paths as is needed.

    Args:
        inputs: Files, folders, or `-` for standard input.
        output: One file input: a file, by default beside the input, or `-`. Otherwise a folder;
            for a single folder by default `<folder>.labeled` beside it.
        stdin: What came through standard input; see `streams.spooled`.
        **options: Those of `open_table`, for every input.

    Raises:
        ConfigurationError: If the outputs have no place of their own, or an option cannot be used.
        InputError: If an input cannot be used; says which and what to do.
    """
    if not inputs:
        raise ConfigurationError("There is no input. Name a file, a folder, or - for a pipe.")
    folder = output_folder(inputs, output)
    files = [_file(path, stdin) for one in inputs for path in _files_of(one)]
    left_out = tuple(note for one in inputs for note in left_out_notes(one))
    _check_once(files)
    sources = _sources(files)
    if folder is None:
        outputs = [_single_output(files[0].path, stdin, output)]
    else:
        outputs = _outputs(folder, files, sources)
    jobs = []
    for file, source, target in zip(files, sources, outputs, strict=True):
        table = open_table(file.path, source=source, **options)
        if source not in (file.path.name, STREAM):
            note = f"the source of {file.path} is named {source!r}, as another has its file name"
            table = replace(table, notes=(*table.notes, note))
        table = replace(table, notes=(*left_out, *table.notes))
        check_sink(table, target)
        jobs.append(InputJob(table=table, output=target))
    return tuple(jobs)


def _files_of(one: Path | str) -> list[Path]:
    """Return a file as it is, and of a folder its inputs."""
    path = Path(one)
    if str(one) == STREAM or not path.is_dir():
        return [path]
    try:
        entries = sorted(entry for entry in path.iterdir() if entry.is_file())
    except OSError as error:
        raise InputError(f"Cannot read the folder {path}: {cause(error)}.") from error
    found = [entry for entry in entries if _is_input(entry.name)]
    if not found:
        raise InputError(
            f"The folder {path} holds no input: no file whose name ends in {known_suffixes()}, "
            "packed (.gz) or not, but for outputs of this program. Name a folder with such files "
            "directly in it, or the files themselves."
        )
    return found


def left_out_notes(one: Path | str) -> list[str]:
    """Return what of a folder is no input, in one line: names and reasons, cut to a few.

    What belongs to an output (ledger, results), and hidden files of no known format, are no news.
    """
    path = Path(one)
    if str(one) == STREAM or not path.is_dir():
        return []
    reasons = {entry.name: _why_not(entry) for entry in sorted(path.iterdir())}
    named = [f"{name} ({reason})" for name, reason in reasons.items() if reason]
    if not named:
        return []
    more = f", and {len(named) - SHOWN_FILES:,} more" if named[SHOWN_FILES:] else ""
    return [f"left out of {path}: {', '.join(named[:SHOWN_FILES])}{more}"]


def _why_not(entry: Path) -> str:
    """Return why a file of a folder is no input; empty where it is one, or no news."""
    name, is_known = entry.name, known_format(entry) is not None
    if any(part in name for part in _BESIDE_OUTPUTS) or (name.startswith(".") and not is_known):
        return ""
    if not entry.is_file():
        return "folder" if entry.is_dir() else "no file"
    if not is_known:
        return "no known suffix"
    if name.startswith("."):
        return "hidden"
    return "" if _is_input(name) else "name of an output"


def _is_input(name: str) -> bool:
    is_ours = any(part in name.lower() for part in OUR_OUTPUTS)
    return known_format(Path(name)) is not None and not name.startswith(".") and not is_ours


def _file(path: Path, stdin: Path | None) -> _Named:
    if str(path) != STREAM:
        whole = Path(os.path.abspath(path))
        drive = re.sub(r"[:/\\]+", "_", whole.drive)  # Windows: two of them may hold one path
        return _Named(path=path, parts=(*([drive] if drive else []), *whole.parts[1:]))
    if stdin is None:
        raise ConfigurationError("This call has no standard input. Name a file.")
    return _Named(path=stdin, parts=(STREAM,))


def _check_once(files: Iterable[_Named]) -> None:
    seen: dict[str, Path] = {}
    for file in files:
        other = seen.setdefault(os.path.realpath(file.path), file.path)
        if other is not file.path:
            raise ConfigurationError(
                f"{file.path} is the same input as {other}. Name each input once."
            )


def _sources(files: Sequence[_Named]) -> list[str]:
    """Return a name per file: the file's own, with folders in front where it occurs twice."""
    depths = [1] * len(files)
    while True:
        names = ["/".join(file.parts[-depth:]) for file, depth in zip(files, depths, strict=True)]
        counts = Counter(names)
        if max(counts.values()) == 1:
            return names
        depths = [depth + (counts[name] > 1) for depth, name in zip(depths, names, strict=True)]


def _single_output(path: Path, stdin: Path | None, output: Path | str | None) -> Path:
    if output is not None:
        return Path(output)
    return Path(STREAM) if path is stdin else default_output(path)


def output_folder(inputs: Sequence[Path | str], output: Path | str | None) -> Path | None:
    """Return the folder of the outputs of several inputs, or None for a single file.

    Raises:
        ConfigurationError: If it is missing, or a file.
    """
    folders = [Path(one) for one in inputs if str(one) != STREAM and Path(one).is_dir()]
    if len(inputs) == 1 and not folders:
        return None
    if output is None:
        if len(inputs) > 1:
            raise ConfigurationError(
                "Several inputs need a folder for their outputs. Pass it with -o."
            )
        folder = Path(os.path.abspath(folders[0]))
        return folder.with_name(f"{folder.name}.labeled")
    folder = Path(output)
    is_file = folder.exists() and not folder.is_dir()
    if str(output) == STREAM or is_file or (known_format(folder) and not folder.is_dir()):
        raise ConfigurationError(
            f"Several inputs have several outputs, and {output} is one file. Pass a folder with -o."
        )
    return folder


def _outputs(folder: Path, files: Sequence[_Named], sources: Sequence[str]) -> list[Path]:
    """Return a path per file, no two the same on any system."""
    plain = [
        folder / default_output(Path(_file_name(file, source)))
        for file, source in zip(files, sources, strict=True)
    ]
    counts = Counter(map(_folded, plain))
    paths = [
        path if counts[_folded(path)] == 1 else folder / f"{source}.labeled{path.suffix}"
        for path, source in zip(plain, sources, strict=True)
    ]
    seen: dict[str, str] = {}
    for path, source in zip(paths, sources, strict=True):
        other = seen.setdefault(_folded(path), source)
        if other != source:
            raise ConfigurationError(
                f"The inputs {other} and {source} would have the same output {path}. Rename one "
                "of them, or label them in runs of their own."
            )
    return paths


def _file_name(file: _Named, source: str) -> str:
    """Return the source as the name of a file; standard input has the name of its copy."""
    return file.path.name if source == STREAM else source


def _folded(path: Path) -> str:
    return str(path).casefold()
