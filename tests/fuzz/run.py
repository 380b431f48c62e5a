"""Fuzz the protocol code, guided by coverage, and say which branches were reached.

`python -m tests.fuzz.run --target all --seconds 600` shares the seconds among the targets; each
runs in a process of its own under atheris, from seeds that are the same every time. After that the
inputs that were kept run once more under coverage.py, and a table says which branches of which
module they reach. `--corpus DIR` keeps them from run to run, `--results DIR` writes
fuzz_<UTC time>.json there, `--replay FILE` repeats one input, such as that of a crash. With
`--inputs N` each target tries so many instead, as many on a busy machine. Exit code 1 if there
was a crash. Needs atheris, which there is for Linux only; `--replay` does not.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analysis import __version__
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
LARGEST_INPUT_BYTES = 512
SEEDS = 48
SLOWEST_S = 60
"""An input that takes longer, also on a busy machine, counts as a crash: something has no end."""
STACK_LINES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the fuzzer found in one target.

    Attributes:
        target: Its name.
        seconds: How long its process ran, with the start.
        executions: Inputs that were tried.
        kept: Inputs that reached something new, with those of earlier runs.
        crash: The last lines of a crash, or None.
    """

    target: str
    seconds: float
    executions: int
    kept: int
    crash: str | None


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _options(arguments)
    if options.child:
        fuzz(options.target, options.corpus, _bound(options), options.seed)
    if options.cover:
        return cover(options.corpus, options.cover)
    if options.replay:
        function_of(options.target)(options.replay.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        sys.exit("atheris is not installed. It is part of the extra `dev`, on Linux only.")
    names = list(TARGETS) if options.target == "all" else [options.target]
    with tempfile.TemporaryDirectory() as folder:
        return _whole_run(options, names, options.corpus or Path(folder))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--target", default="all", choices=["all", *TARGETS])
    parser.add_argument("--seconds", type=float, default=20.0, help="for all targets together")
    parser.add_argument("--inputs", type=int, help="for each target, in place of seconds")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder that keeps inputs")
    parser.add_argument("--results", type=Path, help="folder for fuzz_<UTC time>.json")
    parser.add_argument("--replay", type=Path, help="repeat this input, without atheris")
    parser.add_argument("--no-coverage", action="store_true", help="do not state the branches")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--cover", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _bound(options: argparse.Namespace) -> str:
    """Return the flag that ends the process of one target."""
    if options.inputs is not None:
        return f"-runs={options.inputs}"
    return f"-max_total_time={max(1, round(options.seconds))}"


def _whole_run(options: argparse.Namespace, names: list[str], corpus: Path) -> int:
    share_s = options.seconds * min(options.jobs, len(names)) / len(names)
    bound = ("seconds", share_s) if options.inputs is None else ("inputs", options.inputs)
    started = time.monotonic()

    def one(name: str) -> Outcome:
        return fuzz_apart(name, corpus / name, bound, options.seed)

    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(one, names))
    elapsed_s = time.monotonic() - started
    branches = [] if options.no_coverage else cover_apart(corpus)
    print(table(outcomes, branches))
    if options.results:
        print(f"Wrote {write(outcomes, branches, options, elapsed_s).name}")
    return 1 if any(outcome.crash for outcome in outcomes) else 0


# One target


def function_of(name: str) -> Callable[[bytes], None]:
    """Return the function of a target."""
    module, _, function = TARGETS[name].entry.partition(":")
    found: Callable[[bytes], None] = getattr(importlib.import_module(module), function)
    return found


def seeds(name: str, seed: int) -> Iterable[bytes]:
    """Yield inputs to begin with: from the plain course of things to pure chance."""
    rng = random.Random(f"{seed}-{name}")
    for number in range(SEEDS):
        size = (8, 64, 256, LARGEST_INPUT_BYTES)[number % 4]
        share = number / SEEDS
        yield bytes(rng.randrange(256) if rng.random() < share else 0 for _ in range(size))


def fuzz(name: str, corpus: Path, bound: str, seed: int) -> None:
    """Fuzz one target in this process; ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["analysis"], enable_loader_override=False):
        function = function_of(name)
    flags = [
        bound,
        f"-max_len={LARGEST_INPUT_BYTES}",
        f"-timeout={SLOWEST_S}",
        f"-seed={seed}",
        f"-artifact_prefix={corpus.parent / 'crashes'}{os.sep}{name}-",
        "-len_control=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], function)
    atheris.Fuzz()


def fuzz_apart(name: str, corpus: Path, bound: tuple[str, float], seed: int) -> Outcome:
    """Fuzz one target in a process of its own, for so many `seconds` or `inputs`."""
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus.parent / "crashes").mkdir(exist_ok=True)
    for number, content in enumerate(seeds(name, seed)):
        (corpus / f"seed-{number:02}").write_bytes(content)
    command = [sys.executable, "-m", "tests.fuzz.run", "--child", "--target", name]
    command += ["--corpus", str(corpus.resolve()), f"--{bound[0]}={bound[1]}", f"--seed={seed}"]
    own = {"PYTHONHASHSEED": str(seed)}  # the order of sets would lead to other inputs
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | own, capture_output=True, text=True, errors="replace"
    )
    told = (done.stdout + done.stderr).replace(f"{ROOT}{os.sep}", "")
    count = re.search(r"number_of_executed_units: (\d+)", told)
    crash = None
    if done.returncode != 0 or count is None:
        lines = [line for line in told.splitlines() if not line.startswith(("#", "INFO", "stat::"))]
        crash = "\n".join(lines[-STACK_LINES:])
    return Outcome(
        target=name,
        seconds=round(time.monotonic() - started, 1),
        executions=int(count[1]) if count else 0,
        kept=len(list(corpus.iterdir())),
        crash=crash,
    )


# Coverage of what was kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Branches:
    """Branches of one module, and those that were reached by the targets that are about it."""

    module: str
    branches: int
    reached: int

    @property
    def share(self) -> float:
        """Reached ones, in percent; a module without branches is reached as a whole."""
        return 100.0 * self.reached / self.branches if self.branches else 100.0


def cover(corpus: Path, report: Path) -> int:
    """Run everything in a corpus under coverage.py in this process; write its JSON report."""
    coverage: Any = importlib.import_module("coverage")
    measured = coverage.Coverage(
        branch=True, source=["analysis"], data_file=None, config_file=False
    )
    measured.start()
    for name in TARGETS:
        folder = corpus / name
        if folder.is_dir():
            function = function_of(name)
            for path in sorted(folder.iterdir()):
                _covered(function, path.read_bytes())
    measured.stop()
    measured.json_report(outfile=str(report))
    return 0


def _covered(function: Callable[[bytes], None], content: bytes) -> None:
    try:
        function(content)
    except Exception as error:  # noqa: BLE001 - the run goes on, a crash was reported before
        print(f"Left out of the coverage: {type(error).__name__}", file=sys.stderr)


def cover_apart(corpus: Path) -> list[Branches]:
    """Return the branches that the inputs of a corpus reach, by module, in a process apart."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "tests.fuzz.run", "--corpus", str(corpus.resolve())]
        subprocess.run([*command, "--cover", str(report)], cwd=ROOT, check=True)
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    played = [target for name, target in TARGETS.items() if (corpus / name).is_dir()]
    modules = sorted({module for target in played for module in target.modules})
    sums = {name: files[f"analysis/{name}.py"]["summary"] for name in modules}
    return [
        Branches(
            module=f"analysis/{name}.py",
            branches=found["num_branches"],
            reached=found["covered_branches"],
        )
        for name, found in sums.items()
    ]


# Reports


def table(outcomes: list[Outcome], branches: list[Branches]) -> str:
    """Return both tables as text, and the crashes behind them."""
    lines = [f"{'target':<18}{'seconds':>9}{'executions':>12}{'kept':>7}  crash"]
    lines += [
        f"{one.target:<18}{one.seconds:>9}{one.executions:>12}{one.kept:>7}"
        f"  {'yes' if one.crash else 'none'}"
        for one in outcomes
    ]
    if branches:
        lines += ["", f"{'module':<42}{'branches':>9}{'reached':>9}{'%':>7}"]
        lines += [
            f"{one.module:<42}{one.branches:>9}{one.reached:>9}{one.share:>7.1f}"
            for one in branches
        ]
    lines += [f"\n{one.target}:\n{one.crash}" for one in outcomes if one.crash]
    return "\n".join(lines)


def write(
    outcomes: list[Outcome],
    branches: list[Branches],
    options: argparse.Namespace,
    elapsed_s: float,
) -> Path:
    """Write the report; return its path."""
    words = [f"--target {options.target}", f"--seconds {options.seconds:g}"]
    if options.inputs is not None:
        words[-1] = f"--inputs {options.inputs}"
    words += [f"--jobs {options.jobs}", f"--seed {options.seed}"]
    document = {
        "what": "coverage-guided fuzzing; branches are those that the kept inputs reach",
        "command": " ".join(["python -m tests.fuzz.run", *words, "--results performance_results"]),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "atheris": version("atheris"),
        "coverage": version("coverage"),
        "machine": {
            "system": platform.platform(terse=True),
            "python": platform.python_version(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        "seconds": round(elapsed_s, 1),
        "executions": sum(one.executions for one in outcomes),
        "crashes": sum(one.crash is not None for one in outcomes),
        "targets": [asdict(one) for one in outcomes],
        "branches": [asdict(one) | {"percent": round(one.share, 1)} for one in branches],
    }
    name = datetime.now(UTC).strftime("fuzz_%Y%m%dT%H%M%SZ.json")
    target: Path = options.results / name
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    sys.exit(main())
