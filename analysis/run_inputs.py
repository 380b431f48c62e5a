"""The inputs of a run: opened, limited, sampled, with the packing that is planned from them.

io. `entry` calls it before anything is sent, for a run and for an estimate.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.arguments import AUTO
from analysis.errors import ConfigurationError
from analysis.hooks import Hooks
from analysis.kinds import NONE, PATH, PATHS, check_kind
from analysis.pipeline.formats import STREAM
from analysis.pipeline.inputs import InputJob, open_inputs, output_folder
from analysis.pipeline.review import check_columns
from analysis.pipeline.sampling import Sample, draw
from analysis.pipeline.streams import spooled
from analysis.run_options import RunOptions
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer

NOWHERE = Path("labeled")
"""The folder for outputs of several inputs that are only estimated; it is not made."""

SHOWN_SOURCES = 3
"""Inputs that a note names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The inputs of a run.

    Attributes:
        jobs: Each input with its output.
        folder: Where the outputs of several inputs go.
        spool: Digest of what came through standard input.
    """

    jobs: tuple[InputJob, ...]
    folder: Path | None
    spool: str | None

    @property
    def topic(self) -> str | None:
        """The topic for rows without one, the same for all inputs."""
        return self.jobs[0].table.topic

    @property
    def context(self) -> int:
        """So many neighbours are shown with the chunks of a request, at most."""
        return max(job.table.context for job in self.jobs)


def open_run(
    held: contextlib.ExitStack,
    path_in: str | Path | Sequence[str | Path],
    path_out: str | Path | None,
    topic: str | None,
    options: RunOptions,
    hooks: Hooks,
    *,
    is_estimate: bool = False,
) -> Opened:
    """Open the inputs and say what was assumed about them."""
    check_kind("path_in", path_in, PATH | PATHS)
    check_kind("path_out", path_out, PATH | NONE)
    inputs = [_expanded(path_in)] if isinstance(path_in, str | Path) else [*map(_expanded, path_in)]
    path_out = None if path_out is None else _expanded(path_out)
    spool = None
    if STREAM in map(str, inputs):
        if hooks.stdin is None:
            raise ConfigurationError(
                "An input of '-' needs an open standard input: name a file, or pass "
                "Hooks(stdin=...)."
            )
        spool = held.enter_context(spooled(hooks.stdin))
    if is_estimate and len(inputs) > 1:
        path_out = NOWHERE
    jobs = open_inputs(
        inputs,
        path_out,
        stdin=None if spool is None else spool.path,
        id_column=options.id_column,
        text_column=options.text_column,
        document_column=options.document_column,
        topic_column=options.topic_column,
        title_column=options.title_column,
        topic=topic,
        encoding=options.encoding,
        delimiter=options.delimiter,
        context=options.context,
        settings=options.settings,
    )
    if options.min_confidence is not None:
        for job in jobs:
            check_columns(job.table.path, job.table.columns)
    folder = output_folder(inputs, path_out)
    if options.limit is not None:
        jobs = tuple(_limited(jobs, options.limit))
    opened = Opened(jobs=jobs, folder=folder, spool=None if spool is None else spool.digest)
    if hooks.on_notes is not None:
        hooks.on_notes(_notes(opened))
    return opened


def _expanded(path: str | Path) -> str | Path:
    """Return a path with the home folder in the place of `~`, as shells hand it over."""
    found = os.path.expanduser(path)
    return Path(found) if isinstance(path, Path) else found


def _limited(jobs: Sequence[InputJob], limit: int) -> Iterator[InputJob]:
    """Yield the inputs with the first rows of all of them together; read no further than that."""
    left = limit
    for job in jobs:
        table = replace(job.table, limit=left)
        yield replace(job, table=table)
        if len(jobs) > 1:
            left -= sum(len(rows) for rows in table.slices())
        if left <= 0:
            return


def _notes(opened: Opened) -> list[str]:
    """Return what was assumed about the inputs, each thing once; of several with their names."""
    if len(opened.jobs) == 1:
        return list(opened.jobs[0].table.notes)
    found: dict[str, list[str]] = {}
    for job in opened.jobs:
        for note in job.table.notes:
            found.setdefault(note, []).append(job.table.source)
    every = len(opened.jobs)
    return [
        note if len(names) == every else f"{note} ({', '.join(names[:SHOWN_SOURCES])})"
        for note, names in found.items()
    ]


def packed(
    opened: Opened, analyzer: HybridSemanticAnalyzer, options: RunOptions, hooks: Hooks
) -> tuple[Opened, int, str]:
    """Return the inputs with the drawn sample, the chunks in one request, and why so many.

    A plan is made of all rows, also beyond `limit` or held, before anything is heard of the
    service: so a run after a pilot or a stop sends the same requests.
    """
    asked = options.max_chunks_per_request or options.settings.chunks_per_request
    per_request, words = asked, str(asked)
    if not isinstance(asked, int):
        tables = [replace(job.table, limit=None) for job in opened.jobs]
        slices = ([row.chunk for row in rows] for table in tables for rows in table.slices())
        plan = analyzer.plan(slices, topic=opened.topic)
        per_request = plan.chunks_per_request
        words = f"{per_request} ({AUTO}: {plan.because})"
        if hooks.on_notes is not None:
            hooks.on_notes((f"chunks in one request: {words}",))
    if options.sample is not None:
        sample = Sample(size=options.sample, seed=options.seed, block=int(per_request))
        drawn = draw([job.table for job in opened.jobs], sample, options.settings)
        jobs = [replace(job, table=table) for job, table in zip(opened.jobs, drawn, strict=True)]
        opened = replace(opened, jobs=tuple(job for job in jobs if job.table.spans))
        if hooks.on_notes is not None:
            hooks.on_notes(drawn[0].notes[-1:])
    return opened, int(per_request), words
