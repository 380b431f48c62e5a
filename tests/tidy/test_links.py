"""Every relative link in a Markdown file leads to a file, and to a heading if it names one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from tests.tidy.source_tree import ROOT, assert_tidy, places, tracked_files, write_tree

INLINE = re.compile(r"\]\(\s*<?([^)\s>]+)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s+<?(\S+?)>?(?:\s|$)")
FENCE = re.compile(r"^\s*(```+|~~~+)")
CODE = re.compile(r"(`+).+?\1")


def prose_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines outside of fenced code, with inline code taken out."""
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        match = FENCE.match(line)
        if fence:
            fence = "" if match and match[1].startswith(fence) else fence
        elif match:
            fence = match[1]
        else:
            yield number, CODE.sub("", line)


def links_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield the targets of inline, image and reference links, with lines."""
    for number, line in prose_lines(text):
        for match in (*INLINE.finditer(line), *REFERENCE.finditer(line)):
            yield number, match[1]


def anchors_of(text: str) -> set[str]:
    """Return the anchors of the headings as GitHub makes them, and explicit ones."""
    found: set[str] = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    fence = ""
    for line in text.splitlines():
        match = FENCE.match(line)
        if match:
            fence = "" if fence and match[1].startswith(fence) else fence or match[1]
        heading = None if fence else re.match(r"#{1,6} +(.+?)(?: +#+)?$", line)
        if heading:
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            later = (f"{slug}-{count}" for count in range(1, 1000))
            found.add(slug if slug not in found else next(one for one in later if one not in found))
    return found


def link_failures(root: Path) -> list[str]:
    """Return the relative links of all Markdown files that lead nowhere."""
    failures = []
    for path in tracked_files(root):
        if path.suffix.lower() != ".md":
            continue
        where = path.relative_to(root).as_posix()
        for line, target in links_of(path.read_text(encoding="utf-8")):
            if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", target):
                problem = problem_of(path, target, root)
                failures += [f"{where}:{line}: link {target!r}: {problem}"] if problem else []
    return failures


def problem_of(path: Path, target: str, root: Path) -> str:
    """Return what is wrong with one relative link and what to do, or an empty string."""
    name, _, anchor = unquote(target).partition("#")
    if name.startswith("/"):
        return "starts with a slash. Write it relative to the file that holds it."
    goal = (path.parent / name).resolve() if name else path
    if not goal.is_relative_to(root.resolve()) and name:
        return "leads out of the repository. Link to a file in it, or to a full address."
    if not goal.exists():
        return "leads to no file. Correct the path or add the file."
    if anchor and goal.suffix == ".md" and anchor not in anchors_of(goal.read_text("utf-8")):
        return f"no heading makes the anchor {anchor!r}. Use the heading's own words."
    return ""


def test_links_lead_somewhere() -> None:
    """No Markdown file of the repository has a dead relative link."""
    assert_tidy(link_failures(ROOT))


def test_planted_dead_links_are_caught(tmp_path: Path) -> None:
    """Dead files, anchors, images and references are found, and links out of the tree."""
    lines = (
        "[a](missing.md)",
        '![b](pictures/none.svg "title")',
        "[c](b.md#no-such-heading)",
        "[d](#not-here)",
        "[e]: ../gone.md",
        "[f](/b.md)",
        "[g](../../../elsewhere.md)",
        "[![h](none.png)](b.md)",
    )
    root = write_tree(tmp_path, {"docs/a.md": "\n".join(lines), "docs/b.md": "# B\n"})
    expected = [f"docs/a.md:{line}" for line in range(1, 9)]
    assert expected == places(link_failures(root))


def test_living_links_and_code_are_left_alone(tmp_path: Path) -> None:
    """Existing files, folders, headings, full addresses and code are no failures."""
    lines = (
        "# A `first` heading, in words",
        "# Twice",
        "# Twice",
        "[a](b.md) [b](b.md#b-und-c) [c](#a-first-heading-in-words) [d](#twice-1) [e](folder/)",
        "[f](https://example.org/x) [g](mailto:a@example.org) [h](with%20space.md)",
        "`[i](none.md)`",
        "```",
        "[j](none.md)",
        "# not a heading",
        "```",
    )
    files = {"a.md": "\n".join(lines), "b.md": "## B und C\n", "folder/x": "", "with space.md": ""}
    expected: list[str] = []
    assert expected == link_failures(write_tree(tmp_path, files))
