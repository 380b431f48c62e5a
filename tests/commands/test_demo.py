"""The demo: the main job on the shipped samples, without key and network."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from analysis.commands.demo import main
from tests.commands.running import column, raw

FOUR, LONG = "four_languages.labeled.csv", "long_english.labeled.csv"
# A key, an address that answers nobody, and an option: the demo looks at none of them.
ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-canary",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "SEMFN_RUN_TEXT_COLUMN": "nowhere",
}


def demo(folder: Path) -> Result:
    """Run the demo into a folder."""
    return CliRunner(env=ENVIRONMENT).invoke(main, ["--folder", str(folder)])


def test_demo_labels_both_samples_and_says_simulated(tmp_path: Path) -> None:
    """All 394 rows get a label; every count of them is marked; stdout stays clean."""
    result = demo(tmp_path / "out")
    assert (0, "") == (result.exit_code, result.stdout), result.output
    folder = tmp_path / "out"
    assert 64 == sum(bool(label) for label in column(folder / FOUR, "semantic_function"))
    assert 330 == sum(bool(label) for label in column(folder / LONG, "semantic_function"))
    assert {"offline-rules"} == set(column(folder / FOUR, "semfn_model"))
    assert "of 64 labels are those of the gold column (simulated)." in result.stderr
    assert "64 of 64 rows labelled (simulated)." in result.stderr
    assert f"Output: {folder / FOUR}" in result.stderr
    assert "set OPENAI_API_KEY" in result.stderr
    assert "canary" not in result.output
    assert json.loads((folder / f"{FOUR}.run-results.json").read_bytes())["simulated"] is True


def test_demo_keeps_its_folder_out_of_git_and_leaves_what_is_there(tmp_path: Path) -> None:
    """A new folder gets a .gitignore; one that exists stays as it is."""
    demo(tmp_path / "new")
    assert "*\n" == (tmp_path / "new" / ".gitignore").read_text(encoding="utf-8")
    mine = raw(tmp_path, b"mine\n", ".gitignore")
    assert 0 == demo(tmp_path).exit_code
    assert b"mine\n" == mine.read_bytes()
