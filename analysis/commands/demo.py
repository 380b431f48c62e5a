"""`python3 bootstrap.py demo`: the main job on the shipped samples, without key and network.

io. Labels both samples through the hybrid analyzer and the local service, over real sockets. A key
that is set is ignored.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import click

FOLDER = Path("demo-output")
SAMPLES = ("four_languages.csv", "long_english.csv")
ROUTES = "realtime,rest"


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=FOLDER,
    show_default=True,
    help="Where the results go.",
)
def main(folder: Path) -> None:
    """Label the shipped samples with labels from rules (simulated), and say where the results are.

    Works without key and network; each call labels again.
    """
    from analysis.commands.run import execute

    folder.mkdir(parents=True, exist_ok=True)
    ignored = folder / ".gitignore"
    if not ignored.exists():  # what somebody keeps there is not ours to replace
        ignored.write_text("*\n", encoding="utf-8")
    click.echo(
        "Demo: the samples are labelled by a service that runs in this process. The labels come "
        "from rules, not from a language model (simulated).",
        err=True,
    )
    code = 0
    for name in SAMPLES:
        source = folder / name
        source.write_bytes(resources.files("analysis.samples").joinpath(name).read_bytes())
        output = folder / f"{source.stem}.labeled.csv"
        click.echo(f"\n{name}", err=True)
        code = max(code, execute(_options(source, output)))
        for line in _first_rows(output):
            click.echo(line, err=True)
    click.echo(
        "\nWith a key: set OPENAI_API_KEY, then: semfn run chunks.csv --topic 'your topic'",
        err=True,
    )
    sys.exit(code)


def _options(source: Path, output: Path) -> Mapping[str, object]:
    """Return the options of `semfn run`, all by default but these; the environment is left out."""
    from analysis.commands.run import run

    asked = [str(source), "--output", str(output), "--route", ROUTES, "--local", "--fresh"]
    return run.make_context("run", asked, auto_envvar_prefix=None).params


def _first_rows(output: Path) -> list[str]:
    """Return a few labelled rows, and the agreement with the gold column where there is one."""
    if not output.exists():
        return []
    with output.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lines = [f"  {row['semantic_function']:<20} {row['text'][:70]}" for row in rows[:4]]
    if rows and "gold" in rows[0]:
        same = sum(row["gold"] == row["semantic_function"] for row in rows)
        lines.append(f"  {same} of {len(rows)} labels are those of the gold column (simulated).")
    return lines


if __name__ == "__main__":
    main()
