"""The two analyzer snippets of the quick reference run as they are written there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from analysis.records import Labeled
from tests.observed_service import chunks_of, digest_label

ROOT = Path(__file__).parents[1]

REALTIME = """\
from analysis.semantic_function_realtime import SemanticRealtimeAnalyzer, RealtimeSessionConfig

# Инициализация
analyzer = SemanticRealtimeAnalyzer(api_key="your-api-key")

# Конфигурация сессии
config = RealtimeSessionConfig(
    topic="Ваша тема",
    temperature=0.6  # Минимум!
)

# Подключение и анализ
await analyzer.connect()
await analyzer.initialize_session(config)
result = await analyzer.analyze_chunk("id", "текст для анализа")
await analyzer.close()
"""

HYBRID = """\
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer

# Создание анализатора с автоматическим fallback
analyzer = HybridSemanticAnalyzer(api_key="your-api-key")

# Анализ с автоматическим выбором API
result = await analyzer.analyze_chunk(
    chunk_id="1", 
    chunk_text="текст",
    topic="тема"
)

# Пакетная обработка с адаптивной стратегией
results = await analyzer.analyze_batch(
    chunks=chunks_list,
    topic="тема",
    adaptive_batching=True  # Умное распределение между API
)
"""  # noqa: W291 (the space after the comma stands in the original)


@contextmanager
def simulated_service() -> Iterator[str]:
    """Run `python -m analysis simulate` in a process of its own; yields its base URL."""
    command = [sys.executable, "-m", "analysis", "simulate", "--digest-labels"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("base_url=")
    finally:
        process.terminate()
        process.communicate()


def run_as_written(snippet: str, **given: Any) -> dict[str, Any]:
    """Run a snippet inside an async function; returns the names that it left behind."""
    source = f"async def main():\n{textwrap.indent(snippet, '    ')}\n    return locals()\n"
    names = dict(given)
    exec(compile(source, "snippet", "exec"), names)

    async def main() -> dict[str, Any]:
        left: dict[str, Any] = await names["main"]()
        await left["analyzer"].close()
        return left

    return asyncio.run(main())


def test_the_realtime_snippet_runs_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect, initialize, analyze, close: the chunk has its label over the Realtime route."""
    with simulated_service() as base_url:
        monkeypatch.setenv("OPENAI_BASE_URL", base_url)
        result = run_as_written(REALTIME)["result"]
    assert isinstance(result, Labeled)
    assert ("id", "realtime", digest_label("текст для анализа")) == (
        result.chunk_id,
        result.route,
        result.semantic_function,
    )


def test_the_hybrid_snippet_runs_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """One chunk and a list of them, small and large: every chunk has its label."""
    for size, route in ((7, "realtime"), (60, "rest")):
        texts = chunks_of(size)
        chunks_list = [{"id": chunk_id, "text": text} for chunk_id, text in texts]
        with simulated_service() as base_url:
            monkeypatch.setenv("OPENAI_BASE_URL", base_url)
            left = run_as_written(HYBRID, chunks_list=chunks_list)
        assert digest_label("текст") == left["result"].semantic_function
        assert [(chunk_id, digest_label(text), route) for chunk_id, text in texts] == [
            (verdict.chunk_id, verdict.semantic_function, verdict.route)
            for verdict in left["results"]
        ]
