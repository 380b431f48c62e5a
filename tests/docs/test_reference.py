"""The generated pages are what the code says, and the page of Python names is complete."""

from __future__ import annotations

import inspect

import pytest

import analysis
from analysis.analyzer import Analyzer
from analysis.entry import RunOptions
from tests.docs.reference_pages import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    """Each generated page equals what the code says now."""
    expected = PAGES[name]()
    actual = (FOLDER / name).read_text(encoding="utf-8")
    assert expected == actual, "stale: run `python -m tests.docs.reference_pages`"


def test_page_of_python_names_is_complete() -> None:
    """Every public name, every promised method and every option stands on the page."""
    page = (FOLDER / "python.md").read_text(encoding="utf-8")
    methods = [
        name
        for name, member in inspect.getmembers(Analyzer)
        if inspect.isfunction(member) and not name.startswith("_")
    ]
    names = [*analysis.__all__, *methods, *RunOptions.__dataclass_fields__]
    missing = [name for name in names if f"`{name}`" not in page and f"`{name}(" not in page]
    assert missing == []
