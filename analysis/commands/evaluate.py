"""`semfn evaluate`: what labels are worth, against gold or against another output.

io. Reads tables, calls `analysis.evaluation`, and prints or writes what it found. Heavy imports
happen inside the functions, so that `--help` stays fast.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.ending import ended
from analysis.commands.evaluate_audit import audit_options, check_without_audit, run_audit
from analysis.settings import LANGUAGES

if TYPE_CHECKING:
    from analysis.evaluation.findings import Difference, Evaluation
    from analysis.evaluation.rows import OutputRow

_NAME_LANGUAGES = [language for language in LANGUAGES if language != "auto"]


@click.command(
    epilog="Example: semfn evaluate chunks.labeled.csv --gold gold.csv --gold-column label",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option(
    "--gold",
    metavar="FILE|COLUMN",
    help="A file with gold labels, joined by id, or a column of OUTPUT.",
)
@click.option("--gold-column", metavar="NAME", help="Column of the gold labels. [default: label]")
@click.option("--gold-column-2", metavar="NAME", help="Column of second gold labels.")
@click.option(
    "--gold-separator",
    metavar="TEXT",
    help="What stands between several labels in one cell, such as ';'. [default: one label a cell]",
)
@click.option("--gold-id-column", metavar="NAME", help="Column of ids in the gold file.")
@click.option("--gold-encoding", help="Encoding of the gold file. [default: utf-8]")
@click.option("--gold-delimiter", help="Delimiter of the gold file.")
@click.option(
    "--mapping",
    metavar="NAME|FILE",
    help="From gold labels of a corpus to keys: a name that comes with semfn, or a .toml file.",
)
@click.option("--against", type=click.Path(path_type=Path), help="Another output, joined by id.")
@click.option(
    "--between",
    nargs=2,
    metavar="A B",
    help="Two routes or models in OUTPUT: rows of both with the same id are compared.",
)
@click.option(
    "--label-set",
    metavar="NAME|FILE",
    help="Label set of the run. [default: as its results say, else ten_functions]",
)
@click.option("--id-column", metavar="NAME", help="Column of ids. [default: id, else row number]")
@click.option(
    "--document-column",
    metavar="NAME",
    help="Column of documents, drawn as wholes for intervals. [default: document, if there]",
)
@click.option("--encoding", help="Encoding of the outputs. [default: utf-8]")
@click.option("--delimiter", help="Delimiter of the outputs.")
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    help="Also: coverage and accuracy of labels at or above this confidence.",
)
@click.option(
    "--resamples",
    type=click.IntRange(0, 100_000),
    default=1_000,
    show_default=True,
    help="Of the bootstrap; 0 for no intervals.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=20_261_121,
    show_default=True,
    help="Of the bootstrap.",
)
@click.option(
    "--label-names",
    type=click.Choice(_NAME_LANGUAGES),
    help="Show names of labels in a language. [default: keys]",
)
@click.option(
    "--differences",
    type=click.Path(path_type=Path),
    help="Write all rows with another primary label to this CSV file. [default: show the first 20]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document in place of lines.")
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file, not to stdout.")
@audit_options
@click.option("--debug", is_flag=True, help="Show a traceback on errors.")
def evaluate(**options: Any) -> None:
    """Score the labels of OUTPUT, which semfn run wrote, against gold labels or another output; or
    ask rows of it again.

    Gold labels may be keys, names in English, Russian, French or Chinese, or aliases; unknown ones
    are refused. Needs the extra: pip install 'semfn[evaluation]'. Nothing is sent.

    With --audit N, rows are asked again with the routes, models, label set and packing of the run,
    which stand in the results beside OUTPUT. This sends requests and needs no extra. Answers are
    kept in a ledger as they come: the same command goes on after a stop, and after the end it asks
    nothing more.

    Exit codes: 0 done; 2 something must be put right first. With --audit also: 3 stopped by the
    service; 4 stopped by --budget; 5 the ledger of the audit cannot be used; 130 interrupted.
    """
    sys.exit(execute(options))


def execute(options: Mapping[str, Any]) -> int:
    """Evaluate and return the exit code."""

    def work() -> int:
        if options["audit"] is not None:
            return _audit(options)
        check_without_audit(options)
        _evaluate(options)
        return 0

    return ended(work, is_debug=options["debug"])


def _evaluate(options: Mapping[str, Any]) -> None:
    """Read, compare, and write or print."""
    from analysis.commands.evaluate_inputs import read_inputs
    from analysis.commands.evaluate_wording import (
        agreement_lines,
        difference_lines,
        gold_lines,
        mcnemar_lines,
    )
    from analysis.evaluation.findings import against_gold, between_outputs, compared_by_gold

    inputs = read_inputs(options, tell=lambda note: click.echo(note, err=True))
    how, name = inputs.how, _name(options["label_names"], inputs.how)
    lines: list[str] = []
    document: dict[str, Any] = {}
    found, sides = None, ("gold", "output")
    if inputs.gold is not None:
        found = against_gold(inputs.gold.matched, how)
        found.document["warnings"] += inputs.notes if inputs.other is None else ()
        document = found.document | {"output": inputs.output, "gold": inputs.gold.title}
        lines = gold_lines(document, name, output=inputs.output, gold=inputs.gold.title)
    if inputs.other is not None:
        found, sides = between_outputs(inputs.other.matched, how), ("first", "second")
        found.document["warnings"] += inputs.notes
        first, second = inputs.other.names
        lines += [""] if lines else []
        lines += agreement_lines(found.document, name, first=first, second=second)
        agreement = found.document | {"first": first, "second": second}
        document = document | {"agreement": agreement} if document else agreement
    if inputs.gold is not None and inputs.other is not None and inputs.other.gold is not None:
        judged = compared_by_gold(inputs.gold.matched, inputs.other.gold, how)
        document["mcnemar"] = judged
        lines += mcnemar_lines(judged, document["agreement"])
    assert found is not None  # `read_inputs` refuses a call that compares with nothing
    target: Path | None = options["differences"]
    if target is not None:
        _write(target, _table(found.differences, sides), inputs.paths, "--differences")
    file = None if target is None else str(target)
    lines += difference_lines(found.document, found.differences, name, sides, file=file)
    _publish(options, document, lines, inputs.paths)


def _audit(options: Mapping[str, Any]) -> int:
    """Ask again, then write or print; return the exit code."""
    report = run_audit(options)
    if options["differences"] is not None:
        _write(options["differences"], report.table, report.paths, "--differences")
    _publish(options, report.document, report.lines, report.paths)
    return report.code


def _publish(
    options: Mapping[str, Any],
    document: Mapping[str, Any],
    lines: Sequence[str],
    paths: Sequence[Path],
) -> None:
    """Print the document or the lines, or write them to a file."""
    if options["as_json"]:
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    else:
        text = "\n".join(lines) + "\n"
    if options["out"] is None:
        # A file name may hold bytes that are no text; as an escape they do no harm.
        click.echo(text.encode("utf-8", errors="backslashreplace"), nl=False)
    else:
        _write(options["out"], text, paths, "--out")
        click.echo(f"Written: {options['out']}", err=True)


def _name(language: str | None, how: Evaluation) -> Callable[[str], str]:
    """Return how labels are shown."""
    from analysis.evaluation.counts import NONE

    def shown(key: str) -> str:
        return key if language is None or key == NONE else how.label_set.name_of(key, language)

    return shown


def _table(differences: Sequence[Difference], sides: tuple[str, str]) -> str:
    """Return the rows that differ as a CSV table; labels are keys."""
    one, two = sides
    is_gold = one == "gold"
    origins = ("route", "model", "confidence", "error")
    header = ["id", one, f"{one}_2", two, f"{two}_2"]
    header += [] if is_gold else [f"{one}_{name}" for name in origins]
    header += origins if is_gold else [f"{two}_{name}" for name in origins]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for each in differences:
        labels = (*(*each.pair.first, "", "")[:2], *(*each.pair.second, "", "")[:2])
        rows = [each.second] if each.first is None else [each.first, each.second]
        cells = [cell for row in rows for cell in _origin(row)]
        writer.writerow([each.pair.id, *labels, *cells])
    return stream.getvalue()


def _origin(row: OutputRow) -> tuple[str, str, str, str]:
    confidence = "" if row.confidence is None else f"{row.confidence:.4f}"
    return row.route, row.model, confidence, row.error


def _write(path: Path, text: str, inputs: Sequence[Path], option: str) -> None:
    from analysis.errors import ConfigurationError
    from analysis.pipeline.dialect import cause

    cure = f"Name another file with {option}."
    try:
        if path.exists() and any(path.samefile(one) for one in inputs):
            raise ConfigurationError(f"{path} is an input of this command. {cure}")
        path.write_bytes(text.encode("utf-8", errors="backslashreplace"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Cannot write {path}: {cause(error)}. {cure}") from error
