"""No object that holds the key shows it, in whatever way it is printed."""

from __future__ import annotations

import asyncio

import pytest

import analysis
from analysis.endpoint import Endpoint
from analysis.errors import AccountClosed, AnalysisError
from analysis.labels.label_set import LabelSet
from analysis.run_options import RunOptions
from analysis.semantic_function import SemanticRestAnalyzer
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.semantic_function_realtime import RealtimeSessionConfig, SemanticRealtimeAnalyzer
from analysis.settings import SETTINGS
from analysis.transport.carrier import Carrier
from tests.canary.canary import KEY, found_in
from tests.commands.running import paid_service

BASE_URL = "http://127.0.0.1:9/v1"
ENDPOINT = Endpoint.find(api_key=KEY, base_url=BASE_URL)
HOLDERS: dict[str, object] = {
    "Endpoint": ENDPOINT,
    "Place": ENDPOINT.place,
    "RunOptions": RunOptions(api_key=KEY, endpoint=ENDPOINT),
    "Settings": SETTINGS,
    "RealtimeSessionConfig": RealtimeSessionConfig(),
    "LabelSet": LabelSet.load("ten_functions"),
    "SemanticRestAnalyzer": SemanticRestAnalyzer(KEY, base_url=BASE_URL),
    "SemanticRealtimeAnalyzer": SemanticRealtimeAnalyzer(KEY, base_url=BASE_URL),
    "HybridSemanticAnalyzer": HybridSemanticAnalyzer(KEY, base_url=BASE_URL),
    "Carrier": Carrier(ENDPOINT.place, timeout_s=1.0, connect_timeout_s=1.0),
}


def shown(value: object) -> str:
    """Return all that printing shows of an object and of what it holds, one level down."""
    fields = getattr(value, "__dict__", {})
    parts = [repr(value), str(value), f"{value}", *map(repr, fields.values())]
    return "\n".join(parts)


@pytest.mark.parametrize("name", HOLDERS)
def test_an_object_does_not_show_the_key(name: str) -> None:
    """`repr`, `str`, a format string, and the same of its attributes."""
    assert [] == found_in(shown(HOLDERS[name]))


def test_all_public_classes_are_looked_at() -> None:
    """A class of the package is a holder, an error, or a value that has no place for a key."""
    values = {"Chunk", "ErrorDetail", "Failed", "FailureKind", "Labeled", "Usage"}
    classes = {name for name in analysis.__all__ if isinstance(getattr(analysis, name), type)}
    kinds = (AnalysisError, Warning)
    errors = {name for name in classes if issubclass(getattr(analysis, name), kinds)}
    assert set() == classes - errors - values - HOLDERS.keys()


async def refused() -> AccountClosed:
    """Return the error of a run whose key is refused."""
    with paid_service(api_key="another") as service:
        async with SemanticRestAnalyzer(KEY, base_url=service.base_url) as analyzer:
            with pytest.raises(AccountClosed) as caught:
                await analyzer.analyze_chunk("c1", "One.", topic="x")
            return caught.value


def test_an_error_does_not_show_the_key_nor_do_its_attributes() -> None:
    """Nor do the errors behind it."""
    error: BaseException | None = asyncio.run(refused())
    while error is not None:
        assert [] == found_in(f"{shown(error)} {error.args}")
        error = error.__cause__ or error.__context__
