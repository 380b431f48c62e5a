"""`semfn export`: a ledger as a table, at any time.

io. Turns options into a call of `pipeline.export`, or of `pipeline.joined` where there are inputs,
says what was written and what was left out, and returns an exit code.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.ending import ended, say
from analysis.commands.options import label_names_option, reading_options
from analysis.commands.standard import bytes_in, bytes_out

if TYPE_CHECKING:
    from analysis.pipeline.export import Exported, Wanted

EXAMPLE = "Example: semfn export chunks.labeled.csv.semfn.sqlite -o labels.csv"


@click.command(
    epilog=EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.argument("ledger", metavar="LEDGER", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    help="Table to write: .csv, .tsv, .jsonl, .parquet, or - for stdout. Of several inputs a "
    "folder.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="An input of the run: write its rows, with the labels beside them, as the run would.",
)
@reading_options
@click.option(
    "--context", type=int, metavar="N", help="That of the run. [default: as LEDGER has it]"
)
@click.option("--failed", "only_failed", is_flag=True, help="Only the rows that failed.")
@click.option(
    "--uncertain",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Only the rows whose label has a confidence below X, for review. Labels of the route "
    "decisions have one, others by run --logprobs.",
)
@click.option(
    "--min-confidence",
    type=float,
    metavar="X",
    help="Add the column semfn_review, with 'uncertain' for labels whose confidence is below X.",
)
@label_names_option
@click.option(
    "--label-set",
    metavar="NAME|FILE",
    help="Label set of the run, for --label-names. [default: a shipped one, as LEDGER has it]",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace a file at the place of the output, whatever it is."
)
@click.option(
    "--csv-formulas",
    default="keep",
    type=click.Choice(["keep", "guard"]),
    help="Cells of a CSV that a spreadsheet would run: as they are, or with an apostrophe.",
)
def export(ledger: Path, **options: Any) -> None:
    """Write what LEDGER holds: source, id, labels and errors of each row that was asked.

    Works while a run goes on, changes nothing in the ledger, sends nothing and needs no key. Rows
    are ordered by source, then as they were first recorded; rows that were never asked are not in a
    ledger. Of a row that was asked in several forms (another text, prompt, label set or model) the
    newest one is written.

    With --input the rows of the input are written, in its order, with its columns and those that a
    run appends; a row that the last run over it would ask anew has semfn_error stopped. The topic
    and the column options must be those of that run.

    Exit codes: 0 written; 2 something must be put right first; 5 disk or ledger; 130 interrupted.
    """
    sys.exit(ended(lambda: _export(ledger, options)))


def _export(ledger: Path, options: Mapping[str, Any]) -> int:
    done = _written(ledger, options)
    has_review = options["min_confidence"] is not None
    for line in report(done, options["output"], has_review=has_review):
        say(line)
    return 0


def _written(ledger: Path, options: Mapping[str, Any]) -> Exported:
    """Write what is wanted; with inputs it is joined to them."""
    from analysis.commands.export_names import names_for
    from analysis.pipeline import export as pipeline

    language, label_set = options["label_names"], options["label_set"]
    options = {**options, "names": names_for(ledger, language, label_set)}
    wanted = pipeline.Wanted(
        **{name: options[name] for name in pipeline.Wanted.__dataclass_fields__}
    )
    other = {"output", "inputs", "context", "label_names", "label_set"}
    known = {*pipeline.Wanted.__dataclass_fields__, *other}
    reading = {name: value for name, value in options.items() if name not in known}
    if options["inputs"]:
        return _joined(ledger, options, wanted, reading)
    _check_alone(reading | {"context": options["context"]})
    return pipeline.export(ledger, options["output"], wanted=wanted, stream=bytes_out())


def _check_alone(reading: Mapping[str, Any]) -> None:
    """Refuse options about an input where there is none."""
    from analysis.errors import ConfigurationError

    given = [name for name, value in reading.items() if value is not None]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigurationError(f"{names} says how an input is read. Pass --input FILE as well.")


def _joined(
    ledger: Path, options: Mapping[str, Any], wanted: Wanted, reading: Mapping[str, Any]
) -> Exported:
    """Open the inputs as a run does, and write them with what the ledger holds."""
    from analysis.audit.record import topic_digest
    from analysis.hooks import Hooks
    from analysis.pipeline.joined import join
    from analysis.run_inputs import open_run
    from analysis.run_options import RunOptions

    def tell(notes: Sequence[str]) -> None:
        for note in notes:
            say(f"Input: {note}.")

    hooks = Hooks(on_notes=tell, stdin=bytes_in())
    columns = {name: value for name, value in reading.items() if name != "topic"}
    with contextlib.ExitStack() as held:
        # The context of the run is taken from the ledger, so none is announced here.
        chosen = RunOptions(context=0, **columns)
        inputs, output = list(options["inputs"]), options["output"]
        opened = open_run(held, inputs, output, reading["topic"], chosen, hooks)
        return join(
            ledger,
            opened.jobs,
            topic_digest=topic_digest(opened.topic),
            context=options["context"],
            wanted=wanted,
            stream=bytes_out(),
        )


def report(done: Exported, output: str, *, has_review: bool = False) -> list[str]:
    """Return what is said about an export: what was written, then what was left out."""
    place = "stdout" if output == "-" else output
    simulated = " (simulated)" if done.is_simulated else ""
    stopped = f", {done.stopped:,} without an answer" if done.stopped else ""
    rows = _count(done.labeled + done.failed + done.stopped, "row")
    lines = [
        f"Wrote {rows} to {place}: {done.labeled:,} with a "
        f"label, {done.failed:,} failed{stopped}{simulated}."
    ]
    if done.changed:
        have = "has" if done.changed == 1 else "have"
        why = "; the topic given is not that of the run" if done.is_other_topic else ""
        lines.append(
            f"{_count(done.changed, 'row')} of the input {have} an answer in another form only, "
            f"such as to another text or topic, which is not written{why}."
        )
    if has_review:
        lines.append(
            f"{_count(done.uncertain, 'row')} marked 'uncertain' in semfn_review, "
            f"{_count(done.unmarked, 'labelled row')} without a confidence and a mark{simulated}."
        )
    left = [
        (done.not_failed, "row", "with a label"),
        (done.surer, "row", "with at least that confidence"),
        (done.without_confidence, "row", "whose route states no confidence"),
        (done.not_labeled, "row", "without a label"),
        (done.not_reached, "row", "without an answer"),
        (done.set_aside, "answer", "set aside by a run with --fresh"),
        (done.other_forms, "answer", "to another form of a row"),
    ]
    named = [f"{_count(count, noun)} {what}" for count, noun, what in left if count]
    return [*lines, f"Left out: {', '.join(named)}."] if named else lines


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
