"""Every code block of README.md and docs/ works as it is written there.

A block in `python` runs as a script of its own. A line that begins with `semfn` in a block in `sh`
runs the program; all lines of a page share a folder, in order. A block in `text`
or `console` straight after either shows its output: each line must occur in it, numbers aside.
Everything runs against one local service, in a temporary folder that holds `chunks.csv`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

from analysis.entry import local_service
from tests.docs import block_process

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "python notest", "sh", "text", "console", "json", "csv", "sql", "toml"}
OUTPUTS = {"text", "console"}
WORKERS = 3
SECONDS = 240

Ended: TypeAlias = dict[str, tuple[str, str]]
"""Place of a block -> its output and what failed, or an empty string."""

NAMED = re.compile(r"`((?:analysis|benchmarks|docs|tests)/[\w./-]*)(?:::(\w+))?`")
"""A path of the repository in inline code, and the test after it."""

NOT_RUN = {
    'pip install "semfn[plot]"': "the extra is installed for the tests; tests/bench/test_plot.py",
    "pip install .": "the step `wheel` of bootstrap.py builds and installs the wheel",
    "export OPENAI_API_KEY=...": "the tests set the variable themselves",
    "export OPENAI_BASE_URL=http://127.0.0.1:8080/v1": "the tests set the variable themselves",
    "python3 bootstrap.py demo": "tests/commands/test_demo.py, tests/test_bootstrap.py",
    "python3 bootstrap.py test": "runs these tests",
    "python -m pytest tests/probes": "runs the tests of another folder",
    "python -m pytest tests/probes -m live": "needs a key and a live endpoint",
    "semfn bench": "takes minutes; tests/commands/test_bench.py",
    "semfn bench --max-concurrent 32": "takes minutes; tests/commands/test_bench.py",
    "semfn bench --live --rounds 3": "needs a key and a live endpoint, and costs money",
    "semfn bench --live": "needs a key and a live endpoint, and costs money",
}
"""Lines of `sh` blocks that are not run here, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: where its body begins, its info string, its body, the line before it."""

    page: str
    line: int
    info: str
    body: str
    before: str
    follows: str

    @property
    def place(self) -> str:
        """File and line, as editors take them."""
        return f"{self.page}:{self.line}"


def blocks_of(text: str, page: str) -> Iterator[Block]:
    """Yield the fenced blocks; `follows` is the info string of a block straight before, or ""."""
    info, body, start, before, follows = "", [""], 0, "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        fence = re.match(r"```(.*)$", line)
        if start == 0 and fence is None:
            if line.strip():
                before, follows = line, ""
        elif start == 0 and fence is not None:
            info, body, start = fence[1].strip(), [], number + 1
        elif line.rstrip() == "```":
            shown = "\n".join(body) + "\n"
            yield Block(
                page=page, line=start, info=info, body=shown, before=before, follows=follows
            )
            start, before, follows = 0, "", info
        else:
            body.append(line)


def blocks() -> list[Block]:
    """Return the blocks of all pages."""
    return [
        block
        for page in PAGES
        for block in blocks_of(page.read_text("utf-8"), page.relative_to(ROOT).as_posix())
    ]


def lines_of(block: Block) -> list[str]:
    """Return the command lines of a block in `sh`."""
    return [line.strip() for line in block.body.splitlines() if line.strip()]


def chunks_csv() -> str:
    """Return the table that the tutorial shows; every block finds it as `chunks.csv`."""
    return next(block.body for block in blocks() if block.info == "csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs blocks against one service."""

    base_url: str
    table: str

    def folder(self, path: Path) -> Path:
        """Return a new folder with the documented files in it."""
        path.mkdir(parents=True)
        (path / "chunks.csv").write_text(self.table, encoding="utf-8")
        latin = self.table + "9,trains,Un train de nuit vend une soirée.\n"
        (path / "latin.csv").write_bytes(latin.encode("cp1252"))
        return path

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment with the service's address and this checkout in front."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        return kept | {
            "OPENAI_API_KEY": "any",
            "OPENAI_BASE_URL": self.base_url,
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def start(self, words: Sequence[str], folder: Path) -> tuple[str, str]:
        """Run a script or a `semfn` line; return its output and what failed, or an empty string."""
        environment = self.environment(folder)
        return block_process.run(words, folder, environment, timeout_s=SECONDS)

    def script(self, block: Block, folder: Path) -> tuple[str, str]:
        """Run a block in `python`; return its output and what failed, or an empty string."""
        path = self.folder(folder) / "block.py"
        path.write_text(block.body, encoding="utf-8")
        return self.start([str(path)], folder)

    def line(self, line: str, folder: Path) -> tuple[str, str]:
        """Run a `semfn` line; return its output and what failed, or an empty string."""
        words = shlex.split(line)[1:]
        if words[:1] == ["simulate"] and "--help" not in words:
            return self.simulate(words, folder)
        return self.start(["semfn", *words], folder)

    def simulate(self, words: list[str], folder: Path) -> tuple[str, str]:
        """Start a `semfn simulate` line on a free port, read its address, end it."""
        if "--port" in words:
            words[words.index("--port") + 1] = "0"
        with subprocess.Popen(
            [sys.executable, "-m", "analysis", *words],
            cwd=folder,
            env=self.environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as child:
            assert child.stdout is not None
            seen: list[str] = []
            for output in child.stdout:
                seen.append(output)
                if output.startswith("base_url="):
                    child.send_signal(signal.SIGTERM)
        found = any(re.match(r"base_url=http://127\.0\.0\.1:\d+/v1$", one) for one in seen)
        return "".join(seen), "" if found and child.returncode == 0 else "no address, or no end"


def without_numbers(text: str) -> str:
    """Return a line with every number replaced, so that outputs of two runs compare."""
    return re.sub(r"\d[\d,.:]*", "0", text).strip()


def unseen_lines(shown: str, output: str) -> list[str]:
    """Return the shown lines that the output does not hold; `...` stands for any lines."""
    seen = {without_numbers(line) for line in output.splitlines()}
    wanted = (line for line in shown.splitlines() if line.strip() not in ("", "..."))
    return [line for line in wanted if without_numbers(line) not in seen]


def start_page(
    page: Sequence[Block], runner: Runner, folder: Path, pool: ThreadPoolExecutor
) -> list[Future[Ended]]:
    """Start the scripts and the command lines of one page."""
    scripts = [block for block in page if block.info == "python"]
    lines = pool.submit(_run_lines, page, runner, folder / "sh")
    return [lines, *(pool.submit(_run_script, block, runner, folder) for block in scripts)]


def failures_of(page: Sequence[Block], started: Sequence[Future[Ended]]) -> list[str]:
    """Return what failed on one page, with places and outputs."""
    ended = {place: found for future in started for place, found in future.result().items()}
    failures = [
        f"{place}: {failed}\n{output}" for place, (output, failed) in ended.items() if failed
    ]
    for earlier, block in pairwise(page):
        if block.info in OUTPUTS and block.follows == earlier.info and earlier.place in ended:
            output = ended[earlier.place][0]
            lines = unseen_lines(block.body, output)
            failures += [f"{block.place}: not in the output: {lines}\n{output}"] if lines else []
    return failures


def _run_script(block: Block, runner: Runner, folder: Path) -> Ended:
    return {block.place: runner.script(block, folder / str(block.line))}


def _run_lines(page: Sequence[Block], runner: Runner, folder: Path) -> Ended:
    """Run the `semfn` lines of a page one after the other."""
    found: Ended = {}
    for block in page:
        lines = [line for line in lines_of(block) if block.info == "sh" and line not in NOT_RUN]
        if lines and not folder.exists():
            runner.folder(folder)
        ended = [runner.line(line, folder) for line in lines if line.startswith("semfn ")]
        if ended:
            failed = "; ".join(failure for _, failure in ended if failure)
            found[block.place] = ("".join(output for output, _ in ended), failed)
    return found


def page_blocks(page: str) -> list[Block]:
    """Return the blocks of one page."""
    return [block for block in blocks() if block.page == page]


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Serve simulated answers for as long as the tests of this file run."""
    with local_service() as base_url:
        yield Runner(base_url=base_url, table=chunks_csv())


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    """Hold the threads that wait for the processes of the blocks."""
    with ThreadPoolExecutor(WORKERS) as threads:
        yield threads


@pytest.fixture(scope="module")
def started(
    request: pytest.FixtureRequest,
    runner: Runner,
    pool: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[Future[Ended]]]:
    """Start the blocks of all pages that were selected, so that they overlap."""
    folder = tmp_path_factory.mktemp("pages")
    chosen = [
        str(item.callspec.params["page"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_blocks_run_and_show_output
    ]
    return {
        page: start_page(page_blocks(page), runner, folder / str(place), pool)
        for place, page in enumerate(chosen)
    }


@pytest.mark.parametrize("page", sorted({b.page for b in blocks() if b.info in ("python", "sh")}))
def test_blocks_run_and_show_output(page: str, started: dict[str, list[Future[Ended]]]) -> None:
    """Each script and each `semfn` line of a page ends well, with the output that is shown."""
    failures = failures_of(page_blocks(page), started[page])
    assert not failures, "\n".join(failures)


def test_every_block_says_what_it_is() -> None:
    """No block escapes by a language that nobody runs, and none is skipped without a reason."""
    expected: list[str] = []
    assert expected == [b.place for b in blocks() if b.info not in LANGUAGES]
    skipped = [b for b in blocks() if b.info == "python notest"]
    assert expected == [b.place for b in skipped if not b.before.startswith("Not run by the tests")]


def test_every_command_line_is_run_or_has_a_reason() -> None:
    """Lines of `sh` blocks are `semfn` lines or stand in the table; the table has no other."""
    lines = [line for block in blocks() if block.info == "sh" for line in lines_of(block)]
    expected: set[str] = set()
    assert expected == {line for line in lines if not line.startswith("semfn ")} - NOT_RUN.keys()
    assert expected == NOT_RUN.keys() - set(lines)


def test_json_blocks_are_json() -> None:
    """A block in `json` is one document, or one per line."""
    for block in blocks():
        if block.info == "json":
            try:
                json.loads(block.body)
            except ValueError:
                documents = [json.loads(line) for line in lines_of(block)]
                assert documents, block.place


def test_named_files_and_tests_exist() -> None:
    """A file, or a test of a file, that a page names in inline code is there."""
    missing = []
    for page in PAGES:
        named = NAMED.findall(page.read_text(encoding="utf-8"))
        for name, test in named:
            path = ROOT / name
            is_there = path.exists() and (not test or f"def {test}(" in path.read_text("utf-8"))
            if not is_there:
                missing.append(f"{page.relative_to(ROOT).as_posix()}: {name}::{test}")
    expected: list[str] = []
    assert expected == missing


def test_planted_failures_are_caught(
    runner: Runner, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    """A script that fails, a line that fails and a shown line that never comes are reported."""
    text = (
        "```python\nprint('one 1')\n```\n\n```text\none 2\ntwo\n```\n"
        "```python\nraise SystemExit(3)\n```\n```sh\nsemfn run missing.csv --local\n```\n"
    )
    page = list(blocks_of(text, "a.md"))
    found = failures_of(page, start_page(page, runner, tmp_path, pool))
    assert ["a.md:13:", "a.md:10:", "a.md:6:"] == [failure.split()[0] for failure in found]


def test_a_block_is_read_with_the_line_before_it() -> None:
    """Prose between two blocks parts them; an empty line does not."""
    text = "Words.\n```sh\nsemfn a\n```\n\n```text\nb\n```\nMore.\n\n```text\nc\n```\n"
    read = [(b.line, b.info, b.before, b.follows) for b in blocks_of(text, "a.md")]
    expected = [(3, "sh", "Words.", ""), (7, "text", "", "sh"), (12, "text", "More.", "")]
    assert expected == read
