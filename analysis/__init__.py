"""Label what each chunk of a text does, with an LLM.

The public names of the package. They are loaded when first used, so that importing the package
costs little.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "AccountClosed": "analysis.errors",
    "AnalysisError": "analysis.errors",
    "AnswerDefect": "analysis.errors",
    "Chunk": "analysis.records",
    "ConfigurationError": "analysis.errors",
    "Endpoint": "analysis.endpoint",
    "ErrorDetail": "analysis.records",
    "Failed": "analysis.records",
    "FailureKind": "analysis.records",
    "HybridSemanticAnalyzer": "analysis.semantic_function_hybrid",
    "InputError": "analysis.errors",
    "LabelSet": "analysis.labels.label_set",
    "Labeled": "analysis.records",
    "LedgerError": "analysis.errors",
    "ModelRefused": "analysis.errors",
    "PartialResultWarning": "analysis.errors",
    "RateLimited": "analysis.errors",
    "RealtimeSessionConfig": "analysis.semantic_function_realtime",
    "RequestRejected": "analysis.errors",
    "RouteClosed": "analysis.errors",
    "SemanticRealtimeAnalyzer": "analysis.semantic_function_realtime",
    "SemanticRestAnalyzer": "analysis.semantic_function",
    "TransportError": "analysis.errors",
    "Usage": "analysis.records",
    "analyze_dataframe": "analysis.entry",
    "analyze_file": "analysis.entry",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from analysis.endpoint import Endpoint as Endpoint
    from analysis.entry import analyze_dataframe as analyze_dataframe
    from analysis.entry import analyze_file as analyze_file
    from analysis.errors import AccountClosed as AccountClosed
    from analysis.errors import AnalysisError as AnalysisError
    from analysis.errors import AnswerDefect as AnswerDefect
    from analysis.errors import ConfigurationError as ConfigurationError
    from analysis.errors import InputError as InputError
    from analysis.errors import LedgerError as LedgerError
    from analysis.errors import ModelRefused as ModelRefused
    from analysis.errors import PartialResultWarning as PartialResultWarning
    from analysis.errors import RateLimited as RateLimited
    from analysis.errors import RequestRejected as RequestRejected
    from analysis.errors import RouteClosed as RouteClosed
    from analysis.errors import TransportError as TransportError
    from analysis.labels.label_set import LabelSet as LabelSet
    from analysis.records import Chunk as Chunk
    from analysis.records import ErrorDetail as ErrorDetail
    from analysis.records import Failed as Failed
    from analysis.records import FailureKind as FailureKind
    from analysis.records import Labeled as Labeled
    from analysis.records import Usage as Usage
    from analysis.semantic_function import SemanticRestAnalyzer as SemanticRestAnalyzer
    from analysis.semantic_function_hybrid import HybridSemanticAnalyzer as HybridSemanticAnalyzer
    from analysis.semantic_function_realtime import RealtimeSessionConfig as RealtimeSessionConfig
    from analysis.semantic_function_realtime import (
        SemanticRealtimeAnalyzer as SemanticRealtimeAnalyzer,
    )


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
