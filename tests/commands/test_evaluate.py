"""`semfn evaluate`: scores against gold, agreement of outputs, files, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from analysis.commands.layout import width
from analysis.labels.label_set import LabelSet
from tests.commands.labelled import OUTPUT_HEADER, gold_file, output, output_rows
from tests.commands.running import read, semfn, table, written

TEN = LabelSet.load("ten_functions")
GOLD = "example noise contrast example noise contrast example noise contrast example noise contrast"
FOUND = "example noise contrast example noise contrast noise noise contrast example - contrast"


def lines_of(*arguments: object) -> list[str]:
    """Run the command, which must succeed, and return the lines of stdout."""
    result = semfn("evaluate", *arguments)
    assert 0 == result.exit_code, result.output
    return result.stdout.splitlines()


def document_of(*arguments: object) -> dict[str, Any]:
    """Run the command with --json and return the document."""
    result = semfn("evaluate", *arguments, "--json")
    assert 0 == result.exit_code, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def assert_refused(result: Result, *parts: str) -> None:
    """Assert exit 2 with one line on stderr that has these parts."""
    assert (2, "") == (result.exit_code, result.stdout)
    assert [part for part in parts if part not in result.stderr] == [], result.stderr
    assert 1 == result.stderr.count("\n")


def test_a_column_of_the_output_is_gold(tmp_path: Path) -> None:
    """Ten of twelve are right, one of them has no label; labelled rows stand beside."""
    lines = lines_of(output(tmp_path, FOUND, GOLD), "--gold", "label")
    assert "Scored: 12 rows" in lines
    assert "Without a label, scored as wrong: 1 row (refused 1)." in lines
    (accuracy,) = [line.split() for line in lines if line.startswith("accuracy")]
    assert ("0.833", "0.909", "0.333") == (accuracy[1], accuracy[5], accuracy[6])


def test_another_file_is_gold(tmp_path: Path) -> None:
    """Rows meet by id; what only one file has is counted and named."""
    gold = gold_file(tmp_path, GOLD + " noise noise", first=2)
    found = output(tmp_path, FOUND, GOLD)
    lines = lines_of(found, "--gold", gold)
    assert "Left out: 1 row only in the output, first 'c1'." in lines
    assert "Left out: 3 rows only in the gold file, first 'c13'." in lines
    assert f"Gold: column 'label' of {gold}" in lines


def test_every_line_fits_a_terminal(tmp_path: Path) -> None:
    """No line but those with paths is wider than 80 columns, names in Chinese included."""
    labels = " ".join(TEN.keys * 40)
    path = output(tmp_path, labels, labels, confidence="0.9")
    for language in ("en", "ru", "fr", "zh"):
        lines = lines_of(path, "--gold", "label", "--label-names", language)
        wide = [line for line in lines if width(line) > 80 and str(tmp_path) not in line]
        assert [] == wide


def test_notes_name_labels_as_the_tables_do(tmp_path: Path) -> None:
    """With names in a language no key is left in the lines; the document keeps the keys."""
    path = output(tmp_path, "example noise", "example noise")
    lines = " ".join(lines_of(path, "--gold", "label", "--label-names", "zh"))
    assert "Note: Fewer than 10 gold rows: 举例说明, 无关内容. Chance" in lines
    assert "noise" not in lines
    warnings = document_of(path, "--gold", "label", "--label-names", "zh")["warnings"]
    assert warnings[0].startswith("Fewer than 10 gold rows: example, noise. Chance")


def test_the_json_document_has_a_version_and_all_figures(tmp_path: Path) -> None:
    """Files, counts, scores, intervals, labels, confusion, groups and confidence."""
    found = output(tmp_path, FOUND, GOLD, confidence="0.8")
    document = document_of(found, "--gold", "label", "--min-confidence", "0.5")
    assert (1, "gold", str(found)) == (
        document["evaluation_version"],
        document["kind"],
        document["output"],
    )
    assert 10 / 12 == pytest.approx(document["scores"]["accuracy"])
    assert ["example", "noise", "contrast"] == [one["key"] for one in document["labels"]]
    assert [[3, 1, 0, 0], [0, 3, 0, 1], [0, 0, 4, 0], [0, 0, 0, 0]] == document["confusion"]["rows"]
    assert ("document", 7) == tuple(document["intervals"][key] for key in ("unit", "units"))
    assert 11 == document["confidence"]["threshold"]["kept"]
    assert [11] == [group["rows"] for group in document["groups"]]


def test_the_same_seed_prints_the_same(tmp_path: Path) -> None:
    """Intervals come from the seed alone; without resamples there are none."""
    path = output(tmp_path, FOUND, GOLD)
    assert lines_of(path, "--gold", "label") == lines_of(path, "--gold", "label")
    assert "interval" not in "\n".join(lines_of(path, "--gold", "label", "--resamples", 0))


def test_gold_in_other_words(tmp_path: Path) -> None:
    """Names in four languages are read, several in one cell by an explicit separator."""
    path = output(tmp_path, "example+contrast noise")
    cells = [("c1", "Пояснение на примере; 对比或对立"), ("c2", "Bruit (hors sujet)")]
    gold = written(tmp_path, [("key", "gold"), *cells], "gold.csv")
    options = ("--gold", gold, "--gold-column", "gold", "--gold-id-column", "key")
    assert_refused(
        semfn("evaluate", path, *options), "does not know", "row 1", "need --gold-separator"
    )
    document = document_of(path, *options, "--gold-separator", ";")
    assert (1.0, 1.0) == (document["scores"]["accuracy"], document["scores"]["jaccard"])


def test_a_mapping_names_the_label_set(tmp_path: Path) -> None:
    """Labels of a corpus become keys; a conclusion counts as a result where there is no other."""
    path = output(tmp_path, "method conclusion objective")
    gold = gold_file(tmp_path, "method result background")
    document = document_of(path, "--gold", gold, "--mapping", "csabstruct")
    assert ("csabstruct", "sci_abstract") == (document["mapping"], document["label_set"]["name"])
    assert 2 / 3 == pytest.approx(document["scores"]["accuracy"])


def test_a_mapping_file(tmp_path: Path) -> None:
    """A file of the user; rows that it ignores are counted."""
    text = 'name = "m"\nlabel_set = "ten_functions"\nsource = "s"\nignore = ["?"]\n'
    file = tmp_path / "m.toml"
    file.write_text(text + '[gold]\nspam = "noise"\n', encoding="utf-8")
    path = output(tmp_path, "noise noise", "spam ?")
    lines = lines_of(path, "--gold", "label", "--mapping", file)
    assert "Left out: 1 row ignored by the mapping." in lines
    assert_refused(
        semfn("evaluate", path, "--gold", "label", "--mapping", tmp_path / "none.toml"),
        "Cannot read the mapping",
    )


def test_simulated_labels_are_marked(tmp_path: Path) -> None:
    """Figures of rules say so in every title; a mixture says partly."""
    rules = output(tmp_path, FOUND, GOLD, origin=("offline", "offline-rules"))
    titles = [line for line in lines_of(rules, "--gold", "label") if "Scores" in line]
    assert ["Scores (simulated)"] == titles
    both = [
        *output_rows("noise " * 6, "noise " * 6),
        *output_rows("noise", "noise", ("rest", "digest-labels"), "", 7),
    ]
    lines = lines_of(written(tmp_path, [OUTPUT_HEADER, *both]), "--gold", "label")
    assert "Scores (partly simulated)" in lines
    assert [["rest", "digest-labels", "1"]] == [
        line.split()[:3] for line in lines if line.endswith("simulated") and "digest" in line
    ]


def test_two_outputs_agree(tmp_path: Path) -> None:
    """Without gold the same figures are those of agreement; rows that differ are listed."""
    one = output(tmp_path, "noise example contrast")
    two = output(tmp_path, "noise noise contrast", name="two.csv", origin=("realtime", "other"))
    lines = lines_of(one, "--against", two)
    assert "Compared: 3 rows" in lines
    assert ["0.667"] == [line.split()[3] for line in lines if line.startswith("same primary")]
    assert ["c2  example  noise"] == [line for line in lines if line.startswith("c2")]


def test_reused_labels_are_left_out_of_agreement(tmp_path: Path) -> None:
    """A label that nobody was asked for again agrees with itself."""
    rows = [list(row) for row in output_rows("noise example")]
    rows[0][OUTPUT_HEADER.index("semfn_attempts")] = "0"
    one = written(tmp_path, [OUTPUT_HEADER, *rows], "one.csv")
    lines = lines_of(one, "--against", output(tmp_path, "noise example"))
    assert "Left out: 1 row with a label from an earlier answer." in lines
    assert "Compared: 1 row" in lines


def test_two_routes_within_one_output(tmp_path: Path) -> None:
    """Rows of both with the same id are compared, named by route or by model."""
    rows = [
        *output_rows("noise example"),
        *output_rows("noise noise", origin=("realtime", "gpt-realtime-2.1-mini")),
    ]
    path = written(tmp_path, [OUTPUT_HEADER, *rows])
    document = document_of(path, "--between", "rest", "gpt-realtime-2.1-mini")
    assert (2, 0.5, 1) == (
        document["counts"]["scored"],
        document["scores"]["accuracy"],
        document["differences"],
    )


def test_two_outputs_by_gold(tmp_path: Path) -> None:
    """With gold as well, a test says which of the two is right more often, by document.

    Gains by document are 1, 0, -2, -2, -2, -1: six of 32 ways to set the signs give as much.
    """
    gold = "noise " * 10
    one = output(tmp_path, "noise " * 2 + "example " * 8, gold)
    two = output(tmp_path, "example " * 2 + "noise " * 8, name="two.csv")
    for chosen in ("label", gold_file(tmp_path, gold)):
        document = document_of(one, "--gold", chosen, "--against", two)
        found = document["mcnemar"]
        assert (10, 2, 8) == (found["rows"], found["only_first"], found["only_second"])
        assert ("document", 0.1875) == (found["unit"], found["p_value"])
        assert 0.0 == document["agreement"]["scores"]["accuracy"]


def test_all_differences_go_to_a_file(tmp_path: Path) -> None:
    """Without the file the first twenty are shown, and it is said how to get all."""
    path = output(tmp_path, "noise " * 30, "example " * 30)
    lines = lines_of(path, "--gold", "label")
    assert "30 rows with another primary label, the first 20" in lines
    assert 20 == sum(line.startswith("c") and line.endswith("noise") for line in lines)
    target = tmp_path / "differences.csv"
    assert f"30 rows with another primary label: {target}" in lines_of(
        path, "--gold", "label", "--differences", target
    )
    rows = read(target)
    assert (30, "c1", "example", "noise", "gpt-6-luna") == (
        len(rows),
        rows[0]["id"],
        rows[0]["gold"],
        rows[0]["output"],
        rows[0]["model"],
    )


def test_differences_of_two_outputs_name_both_origins(tmp_path: Path) -> None:
    """Route and model of each side stand in the file."""
    one = output(tmp_path, "noise+ example")
    two = output(tmp_path, "noise contrast", name="two.csv", origin=("realtime", "other"))
    target = tmp_path / "differences.csv"
    lines_of(one, "--against", two, "--differences", target)
    (row,) = read(target)
    assert ("c2", "example", "contrast") == (row["id"], row["first"], row["second"])
    assert ("rest", "realtime") == (row["first_route"], row["second_route"])


def test_the_result_goes_to_a_file(tmp_path: Path) -> None:
    """Stdout stays empty; lines and JSON can both be written."""
    path, target = output(tmp_path, FOUND, GOLD), tmp_path / "result.json"
    result = semfn("evaluate", path, "--gold", "label", "--json", "--out", target)
    assert (0, "") == (result.exit_code, result.stdout)
    assert "gold" == json.loads(target.read_text(encoding="utf-8"))["kind"]


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    """Neither option may name a file that was read."""
    path = output(tmp_path, FOUND, GOLD)
    before = path.read_bytes()
    for option in ("--out", "--differences"):
        refused = semfn("evaluate", path, "--gold", "label", option, path)
        assert_refused(refused, "is an input of this command", option)
    assert before == path.read_bytes()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """One sentence names the file and the cause."""
    path = output(tmp_path, FOUND, GOLD)
    refused = semfn("evaluate", path, "--gold", "label", "--out", tmp_path / "no" / "x.txt")
    assert_refused(refused, "Cannot write", "--out")


def test_an_unused_second_gold_column_is_told(tmp_path: Path) -> None:
    """Second labels count only where the option names their column."""
    path = output(tmp_path, "noise")
    gold = written(tmp_path, [("id", "label", "label2"), ("c1", "noise", "")], "gold.csv")
    result = semfn("evaluate", path, "--gold", gold)
    assert "column 'label2' is not used; --gold-column-2 label2" in result.stderr
    assert "" == semfn("evaluate", path, "--gold", gold, "--gold-column-2", "label2").stderr


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ((), "nothing to compare with"),
        (("--gold", "nothing.csv"), "neither a file nor a column"),
        (("--gold-column", "nothing"), "no column 'nothing'"),
        (("--gold", "label", "--gold-column", "label"), "Pass one of them"),
        (("--gold", "label", "--gold-separator", " "), "--gold-separator is blank"),
        (("--gold", "label", "--mapping", "csabstrakt"), "nearest: csabstruct"),
        (("--gold", "label", "--label-set", "ten"), "Label set 'ten' not found"),
        (("--gold", "label", "--between", "rest", "offline"), "cannot be combined"),
        (("--between", "rest", "realtime"), "no row of"),
        (("--between", "rest", "gpt-6-luna"), "are of both"),
        (("--against", "x.csv", "--between", "a", "b"), "cannot be combined"),
        (("--against", "x.csv"), "no such file"),
        (("--against", "x.csv", "--min-confidence", "0.5"), "--min-confidence needs gold"),
        (("--against", "x.csv", "--mapping", "cna"), "--mapping needs gold"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: tuple[str, ...], part: str) -> None:
    """One sentence on stderr, exit code 2."""
    assert_refused(semfn("evaluate", output(tmp_path, FOUND, GOLD), *options), part)


def test_a_name_that_is_both_file_and_column_is_refused(tmp_path: Path) -> None:
    """Neither is taken silently."""
    name = str(gold_file(tmp_path, "noise"))
    path = written(tmp_path, [("id", "semantic_function", name), ("c1", "noise", "noise")], "o.csv")
    assert_refused(semfn("evaluate", path, "--gold", name), "is both a file and a column")


def test_ids_are_not_joined_with_row_numbers(tmp_path: Path) -> None:
    """A gold file without ids beside an output with ids is refused."""
    gold = written(tmp_path, [("label",), ("noise",)], "gold.csv")
    refused = semfn("evaluate", output(tmp_path, "noise"), "--gold", gold)
    assert_refused(refused, "has no column 'id'", "--gold-id-column")


def test_two_routes_without_a_common_id_are_refused(tmp_path: Path) -> None:
    """Each row of a run has one label; the message says what to do instead."""
    rows = [*output_rows("noise"), *output_rows("noise", origin=("realtime", "x"), first=2)]
    path = written(tmp_path, [OUTPUT_HEADER, *rows])
    assert_refused(semfn("evaluate", path, "--between", "rest", "realtime"), "--against")


def test_outputs_without_common_labels_are_counted(tmp_path: Path) -> None:
    """Every row has a label in one of them only: nothing is compared."""
    one = output(tmp_path, "noise -")
    lines = lines_of(one, "--against", output(tmp_path, "- noise", name="two.csv"))
    assert "Left out: 2 rows without a label in one of them." in lines
    assert "No row has a label of its own in both, so there are no scores." in lines


def test_reused_labels_are_scored_against_gold(tmp_path: Path) -> None:
    """Right or wrong they are labels of this output; they are counted."""
    rows = [list(row) for row in output_rows("noise example", "noise noise")]
    rows[0][OUTPUT_HEADER.index("semfn_attempts")] = "0"
    lines = lines_of(written(tmp_path, [OUTPUT_HEADER, *rows]), "--gold", "label")
    assert "Scored: 2 rows" in lines
    assert "Labels taken from earlier answers, scored as the others: 1." in lines


def test_a_file_name_that_is_no_text_is_shown_with_escapes(tmp_path: Path) -> None:
    """Neither lines nor JSON fail on it."""
    path = output(tmp_path, "noise", "noise").rename(tmp_path / "o\udcff.csv")
    assert any(line.endswith("o\\udcff.csv") for line in lines_of(path, "--gold", "label"))
    assert document_of(path, "--gold", "label")["output"].endswith("o\udcff.csv")


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    """The sentence stays the last line."""
    result = semfn("evaluate", output(tmp_path, "noise"), "--debug")
    assert 2 == result.exit_code
    assert result.stderr.splitlines()[-1].startswith("Error: There is nothing to compare with.")


def test_a_gold_column_without_labels_has_no_figures(tmp_path: Path) -> None:
    """Everything is counted, and nothing is scored."""
    lines = lines_of(output(tmp_path, "noise noise", "- -"), "--gold", "label")
    assert "Left out: 2 rows without a gold label." in lines
    assert "No row of the output has a gold label, so there are no scores." in lines


def test_runs_with_other_definitions_do_not_agree_silently(tmp_path: Path) -> None:
    """One set file, changed between two runs: read by its results, and noted.

    Where the file is gone, it is asked for.
    """
    text = LabelSet.text_of("ten_functions")
    own = tmp_path / "own.toml"
    own.write_text(text.replace('name = "ten_functions"', 'name = "own"'), encoding="utf-8")
    source, paths = table(tmp_path, 3), []
    for name, size in (("one.csv", 10), ("two.csv", 1)):
        target = tmp_path / name
        given = ("--topic", "Trains", "--local", "--quiet", "--label-set", own)
        packed = ("--max-chunks-per-request", size)
        result = semfn("run", source, "-o", target, *given, *packed)
        assert 0 == result.exit_code, result.output
        paths.append(target)
        if name == "one.csv":
            changed = own.read_text(encoding="utf-8").replace(
                'definition = "', 'definition = "Now: '
            )
            own.write_text(changed, encoding="utf-8")
    document = document_of(paths[0], "--against", paths[1])
    assert ("own", 1.0) == (document["label_set"]["name"], document["scores"]["accuracy"])
    first, second = document["warnings"][-2:]
    assert "one.csv was labelled with" in first and "as it was then" in first
    assert second.endswith("They differ in: label set or its definitions, chunks in a request.")
    assert "Note: " in "\n".join(
        lines_of(paths[1], "--gold", paths[0], "--gold-column", "semantic_function")
    )
    own.unlink()
    assert_refused(semfn("evaluate", paths[0], "--against", paths[1]), "name it with --label-set")
