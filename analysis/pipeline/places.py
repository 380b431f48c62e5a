"""Where a run reads and writes: inputs, outputs, ledger, results.

io: looks at the file system and makes folders; `entry` makes the paths, the run checks them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from analysis.errors import ConfigurationError, LedgerError
from analysis.pipeline.dialect import cause
from analysis.pipeline.formats import STREAM
from analysis.pipeline.inputs import InputJob
from analysis.pipeline.output import check_writable, default_output

RESULTS = "run-results.json"
"""What a run says of itself, for programs; with one output its name stands in front."""

_LEDGER = "semfn.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaths:
    """The files of one run.

    Attributes:
        outputs: One for each input, in their order; `-` is standard output.
        homes: For each output the file by whose name the others are named: the output itself, and
            for standard output the one that would be written by default.
        ledger: The record of the run.
        results: The summary as JSON.
    """

    outputs: tuple[Path, ...]
    homes: tuple[Path, ...]
    ledger: Path
    results: Path

    @classmethod
    def of(
        cls,
        jobs: Sequence[InputJob],
        *,
        folder: Path | None = None,
        ledger: Path | None = None,
        spool: str | None = None,
    ) -> RunPaths:
        """Return the paths of a run over these inputs.

        Args:
            jobs: The inputs with their outputs.
            folder: Where the outputs of several inputs go.
            ledger: As named by the user.
            spool: Digest of what came through standard input, if something did: then the ledger
                is kept in the state folder unless there is an output file.

        Raises:
            LedgerError: If the state folder cannot be made.
        """
        outputs = tuple(job.output for job in jobs)
        homes = tuple(
            job.output if str(job.output) != STREAM else _stand_in(job, spool) for job in jobs
        )
        if folder is not None:
            return cls(
                outputs=outputs,
                homes=homes,
                ledger=ledger or folder / _LEDGER,
                results=folder / RESULTS,
            )
        home = homes[0]
        return cls(
            outputs=outputs,
            homes=homes,
            ledger=ledger or home.with_name(f"{home.name}.{_LEDGER}"),
            results=results_of(home),
        )

    @property
    def partials(self) -> tuple[Path, ...]:
        """Where a stopped run puts what is paid for, for each output: `OUT.partial.csv`."""
        return tuple(_partial(home) for home in self.homes)

    @property
    def shown_output(self) -> Path:
        """The output, or the folder of several."""
        return self.outputs[0] if len(self.outputs) == 1 else self.homes[0].parent

    def check(self, inputs: Sequence[Path]) -> None:
        """Check that all can be written, and that none of them is another one or an input.

        Folders of several outputs are made.

        Raises:
            ConfigurationError: Names the two that are the same file, or what cannot be written.
        """
        if len(self.outputs) > 1:
            self._make_folders()
        for output, home in zip(self.outputs, self.homes, strict=True):
            if output == home:
                check_writable(output, inputs=inputs)
        named = [
            *(("input", path) for path in inputs),
            *(("output", path) for path in self.homes),
            *(("partial output", path) for path in self.partials),
            ("summary", self.results),
            ("ledger", self.ledger),
        ]
        seen: dict[str, str] = {}
        for name, path in named:
            other = seen.setdefault(os.path.realpath(path), name)
            if other != name:
                raise ConfigurationError(
                    f"{path} would be both {other} and {name} of this run. Pass another output "
                    "with -o, or another ledger with --ledger."
                )

    def _make_folders(self) -> None:
        for folder in {home.parent for home in self.homes}:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigurationError(
                    f"Cannot make the folder {folder}: {cause(error)}. Pass another one with -o."
                ) from error


def results_of(output: Path, *, several: bool = False) -> Path:
    """Return where a run with this output, or with several in its folder, tells of itself."""
    return output.with_name(RESULTS if several else f"{output.name}.{RESULTS}")


def state_folder(name: str) -> Path:
    """Return a folder of this name where programs of this user keep their state; makes it.

    Raises:
        LedgerError: If it cannot be made.
    """
    folder = platformdirs.user_state_path("semfn", appauthor=False) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"The state folder {folder} cannot be made: {error}. Pass a ledger of your own "
            "(--ledger, ledger=)."
        ) from error
    return folder


def _stand_in(job: InputJob, spool: str | None) -> Path:
    """Return a name for what belongs to a run whose output is a stream."""
    path = job.table.path
    if spool is None:
        return default_output(path)
    return state_folder("streams") / f"{spool}{''.join(path.suffixes)}"


def _partial(home: Path) -> Path:
    name = home.name
    packed = name[-3:] if name.lower().endswith(".gz") else ""
    plain = Path(name.removesuffix(packed))
    return home.with_name(f"{plain.stem}.partial{plain.suffix}{packed}")
