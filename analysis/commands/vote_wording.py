"""How votes fell, as a document and in plain lines of at most 80 columns.

Pure. `vote` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.commands.layout import clipped, clipped_front, laid_out, wrapped
from analysis.commands.vote_inputs import Ballots
from analysis.commands.wording import printable
from analysis.evaluation.votes import Election, Outcome

COLUMNS = 80
VOTE_VERSION = 1
"""Moves when a field of the document changes its meaning or goes."""

_PATH_COLUMNS = 28
_ID_COLUMNS = 30

_TITLES = {
    Outcome.UNANIMOUS: "unanimous, all outputs",
    Outcome.MAJORITY: "majority, more than half",
    Outcome.PLURALITY: "plurality, half or fewer and more than for others",
    Outcome.TIE: "tie, broken by rule",
    Outcome.NONE: "no label in any output",
}


def document_of(ballots: Ballots, election: Election, output: str) -> dict[str, Any]:
    """Return all counts, ready for JSON.

    Args:
        ballots: What was counted.
        election: What came out.
        output: The table that was written, as the user named it.
    """
    voters = ballots.voters
    marks = {voter.simulated for voter in voters if voter.labelled}
    mixed = "all" if marks == {"all"} else "part"
    return {
        "vote_version": VOTE_VERSION,
        "output": output,
        "label_set": {
            "name": ballots.label_set.name,
            "version": ballots.label_set.version,
            "digest": ballots.label_set.digest,
        },
        "outputs": [
            {
                "path": str(voter.path),
                "rows": voter.rows,
                "labelled": voter.labelled,
                "simulated": voter.simulated,
                "missing": voter.missing,
                "first_missing": voter.first_missing,
                "extra": voter.extra,
                "first_extra": voter.first_extra,
            }
            for voter in voters
        ],
        "rows": len(election.votes),
        "outcomes": {outcome.value: count for outcome, count in election.outcomes.items()},
        "agreement": [
            {
                "first": str(voters[one.first].path),
                "second": str(voters[one.second].path),
                "rows": one.rows,
                "same": one.same,
                "share": one.share,
            }
            for one in election.agreements
        ],
        "simulated": mixed if marks - {"none"} else "none",
        "notes": [*ballots.notes, *_tie_note(ballots)],
    }


def _tie_note(ballots: Ballots) -> list[str]:
    if len(ballots.voters) > 2:
        return []
    return [
        "With two outputs each difference is a tie: the label wins that the other output has as "
        f"its second one, else that of {ballots.voters[0].path}."
    ]


def lines_of(document: Mapping[str, Any]) -> list[str]:
    """Return the document of `document_of` for people."""
    mark = {"all": " (simulated)", "part": " (partly simulated)", "none": ""}[document["simulated"]]
    output = "stdout" if document["output"] == "-" else document["output"]
    outcomes = [
        (_TITLES[Outcome(name)], f"{count:,}") for name, count in document["outcomes"].items()
    ]
    pairs = [("first", "second", "rows", "same")]
    pairs += [
        (_name(one["first"]), _name(one["second"]), f"{one['rows']:,}", _share(one["share"]))
        for one in document["agreement"]
    ]
    return [
        f"Wrote {_rows(document['rows'])} to {output}{mark}.",
        *_left_out(document),
        "",
        f"Votes of {len(document['outputs'])} outputs{mark}",
        *laid_out(outcomes, right={1}),
        "",
        f"Same main label, where both have one{mark}",
        *laid_out(pairs, right={2, 3}),
        *_notes(document),
    ]


def _left_out(document: Mapping[str, Any]) -> list[str]:
    lines = []
    for one in document["outputs"]:
        path = one["path"]
        if one["missing"]:
            lines.append(
                f"Not in {path}: {_rows(one['missing'])}, {_first(one['first_missing'])}; it has "
                "no vote on them."
            )
        if one["extra"]:
            lines.append(
                f"Only in {path}: {_rows(one['extra'])}, {_first(one['first_extra'])}; left out."
            )
    return lines


def _first(name: str) -> str:
    return f"first {clipped(printable(repr(name)), _ID_COLUMNS)}"


def _notes(document: Mapping[str, Any]) -> list[str]:
    lines = [line for note in document["notes"] for line in wrapped(f"Note: {note}", COLUMNS)]
    return ["", *lines] if lines else []


def _name(path: str) -> str:
    """Return a path in few columns: its end tells more than its beginning."""
    text = printable(path).replace("\n", " ")
    return clipped_front(text, _PATH_COLUMNS)


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")
