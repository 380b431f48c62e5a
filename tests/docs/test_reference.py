"""The generated pages are what the code says, and the page of Python names is complete."""

from __future__ import annotations

import inspect
import tomllib

import pytest

import analysis
from analysis.analyzer import Analyzer
from analysis.hooks import Hooks
from analysis.run_options import RunOptions
from analysis.semantic_function import SemanticRestAnalyzer
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.semantic_function_realtime import RealtimeSessionConfig, SemanticRealtimeAnalyzer
from tests.docs import routes_page
from tests.docs.reference_pages import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    """Each generated page equals what the code says now."""
    expected = PAGES[name]()
    actual = (FOLDER / name).read_text(encoding="utf-8")
    assert expected == actual, "stale: run `python -m tests.docs.reference_pages`"


def test_every_cell_about_a_route_names_its_test() -> None:
    """Only what does not arise, or is not known, stands there without one."""
    groups = tomllib.loads(routes_page.SOURCE.read_text(encoding="utf-8"))["group"]
    cells = [
        f"{row['what']}: {column} = {cell}"
        for group in groups
        for row in group["row"]
        for column, cell in row.items()
        if column != "what" and " | " not in cell and not cell.startswith("not known")
    ]
    expected: list[str] = []
    assert expected == cells


def test_a_cell_of_an_unknown_route_is_refused() -> None:
    """A misspelled column would else be left out in silence."""
    with pytest.raises(ValueError, match="has a cell for rset"):
        routes_page.line_of({"what": "w", "rset": "yes"}, {}, {})


def test_page_of_python_names_is_complete() -> None:
    """Every public name, promised method, keyword, option and field stands on the page."""
    page = (FOLDER / "python.md").read_text(encoding="utf-8")
    kinds = (SemanticRestAnalyzer, SemanticRealtimeAnalyzer, HybridSemanticAnalyzer)
    methods = [
        name
        for kind in (Analyzer, SemanticRealtimeAnalyzer)
        for name in vars(kind)
        if inspect.isfunction(vars(kind)[name]) and not name.startswith("_")
    ]
    keywords = [name for kind in kinds for name in inspect.signature(kind).parameters]
    values = (RunOptions, RealtimeSessionConfig, Hooks)
    fields = [field for value in values for field in value.__dataclass_fields__]
    names = sorted({*analysis.__all__, *methods, *keywords, *fields})
    missing = [name for name in names if f"`{name}`" not in page and f"`{name}(" not in page]
    assert missing == []


def test_every_field_of_the_results_is_described() -> None:
    """No row of the page is empty."""
    rows = (FOLDER / "results.md").read_text(encoding="utf-8").splitlines()
    assert [] == [row for row in rows if row.startswith("| `") and row.endswith("|  |")]
