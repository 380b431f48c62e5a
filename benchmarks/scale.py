"""How long does `semfn run --local` take for whole files, and how much memory?

Each file is labelled by a fresh process with its own ledger, at the default packing, through the
local service in that process. The labels are the rule labeller's, so every figure is simulated: it
measures the client, the service and the disk of this machine, and no model.

    python benchmarks/scale.py FILE...            your own files
    python benchmarks/scale.py --rows 100000      rows made from the shipped samples

Writes performance_results/scale_<UTC time>.json with command, version and machine. Not for Windows,
whose processes do not report their peak memory this way.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "analysis" / "samples"


def main() -> int:
    """Measure every file and write the result; 1 if one of them came back wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rows", type=int, default=10_000, help="rows to make without files")
    parser.add_argument("--route", default="responses-ws,rest", help="as for semfn run")
    parser.add_argument("--results", type=Path, default=ROOT / "performance_results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = options.files or [make_file(Path(folder) / "samples.csv", options.rows)]
        runs = [measure(path, Path(folder), options.route) for path in files]
    now = datetime.now(UTC)
    result = {
        "question": "time and peak memory of semfn run --local at the default packing",
        "simulated": True,
        "command": command_line(),
        "at": now.isoformat(timespec="seconds"),
        "version": runs[0]["version"],
        "machine": machine(),
        "runs": runs,
    }
    options.results.mkdir(exist_ok=True)
    target = options.results / f"scale_{now:%Y%m%dT%H%M%SZ}.json"
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"Wrote {target.relative_to(ROOT) if target.is_relative_to(ROOT) else target}")
    return 0 if all(run["ids_equal_in_order"] for run in runs) else 1


def measure(path: Path, folder: Path, route: str) -> dict[str, Any]:
    """Label one file in a child process; return its figures and whether the ids are right."""
    output = folder / f"{path.name}.out.csv"
    command = [sys.executable, "-m", "analysis", "run", str(path.resolve()), "--local", "--json"]
    command += ["--quiet", "--route", route, "-o", str(output)]
    started = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        text = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    elapsed = time.monotonic() - started
    if child.returncode:
        raise SystemExit(f"{path.name}: exit code {child.returncode}")
    summary = json.loads(text)
    # Linux counts in KiB, macOS in bytes.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    run = {
        "file": path.name,
        "rows": summary["rows"],
        "labeled": summary["labeled"],
        "errors": summary["errors"],
        "routes": route,
        "requests": sum(summary["requests"].values()),
        "wall_s": round(elapsed, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "label_s": summary["label_s"],
        "chunks_per_s": round(summary["rows"] / elapsed, 1),
        "peak_memory_mib": round(peak / 2**20, 1),
        "ids_equal_in_order": ids_of(path) == ids_of(output),
        "version": summary["record"]["version"],
    }
    print(json.dumps(run))
    return run


def command_line() -> str:
    """Return the command as typed, without the folders of this machine."""
    return " ".join(["python benchmarks/scale.py", *(Path(word).name for word in sys.argv[1:])])


def ids_of(path: Path) -> list[str]:
    """Return the ids of a table in order."""
    opener = gzip.open if path.suffix == ".gz" else open
    csv.field_size_limit(1 << 30)
    with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
        return [row["id"] for row in csv.DictReader(stream)]


def make_file(path: Path, rows: int) -> Path:
    """Write a table of so many rows from the texts of the shipped samples, each with its own id."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("id", "document", "text", "topic"))
        for number, row in enumerate(islice(cycle(sample_rows()), rows)):
            document = f"{row['document']}-{number // 1000}"
            writer.writerow((f"row-{number:07d}", document, row["text"], row["topic"]))
    return path


def sample_rows() -> Iterator[dict[str, str]]:
    """Yield the rows of both samples."""
    for name in ("four_languages.csv", "long_english.csv"):
        with (SAMPLES / name).open(encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    sys.exit(main())
