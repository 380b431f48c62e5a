"""The shortest use of the Realtime analyzer: connect, set the session up, one chunk, close.

python tests/probes/test_realtime_simple.py [--live]
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # as a script, from any folder: the repository comes onto the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pytest

from analysis.check import PROBE_TEXT, PROBE_TOPIC, Finding
from analysis.check.findings import failed, found, unlabeled
from analysis.endpoint import Endpoint
from analysis.errors import AnalysisError
from analysis.records import Failed
from analysis.semantic_function_realtime import RealtimeSessionConfig, SemanticRealtimeAnalyzer
from tests.probes.probe_endpoint import (
    ANSWERER,
    Case,
    assert_all_ok,
    by_name,
    main,
    run_live,
    run_local,
)


async def probe(endpoint: Endpoint) -> list[Finding]:
    """Do what the quick reference does, step by step."""
    findings = []
    step = "connect"
    analyzer = SemanticRealtimeAnalyzer(api_key=endpoint.api_key, base_url=endpoint.base_url)
    config = RealtimeSessionConfig(topic=PROBE_TOPIC, temperature=0.6)
    try:
        await analyzer.connect()
        findings.append(found(endpoint, step, f"dialect {analyzer.session['dialect']}"))
        step = "initialize_session"
        await analyzer.initialize_session(config)
        findings.append(found(endpoint, step, "the server confirmed the settings"))
        step = "analyze_chunk"
        result = await analyzer.analyze_chunk("id", PROBE_TEXT)
        if isinstance(result, Failed):
            findings.append(unlabeled(endpoint, step, result))
        else:
            text = f"{result.semantic_function} from {result.model}"
            facts = {"label": result.semantic_function, "attempts": result.attempts}
            findings.append(found(endpoint, step, text, facts=facts))
    except AnalysisError as error:
        findings.append(failed(endpoint, step, error))
    finally:
        await analyzer.close()
    return findings


SIMPLE = Case(title="One chunk over one session", probe=probe)
BETA = Case(
    title="One chunk over one session, beta dialect",
    probe=probe,
    service={"dialect": "beta"},
    is_local_only=True,
)
CLOSED = Case(title="Wrong key", probe=probe, service={"api_key": "another"}, is_local_only=True)


@pytest.mark.parametrize("case", [SIMPLE, BETA])
def test_one_chunk_gets_its_own_label(case: Case) -> None:
    """All three steps work, and the label is that of the digest of the text, at the first try."""
    findings = run_local(case)
    assert_all_ok(findings)
    steps = by_name(findings)
    assert ["connect", "initialize_session", "analyze_chunk"] == list(steps)
    (label,) = ANSWERER.label([PROBE_TEXT], PROBE_TOPIC)[0]
    facts = steps["analyze_chunk"].facts
    assert (label, 1) == (facts["label"], facts["attempts"])


def test_a_refused_key_ends_the_first_step_with_its_cure() -> None:
    """Nothing is tried after the step that failed."""
    (finding,) = run_local(CLOSED)
    assert ("connect", False) == (finding.name, finding.ok)
    assert "OPENAI_API_KEY" in finding.cure


@pytest.mark.live
def test_one_chunk_at_the_real_endpoint() -> None:
    """The same at the endpoint of the environment."""
    assert_all_ok(run_live(SIMPLE))


if __name__ == "__main__":
    sys.exit(main("Label one chunk over one Realtime session.", [SIMPLE, BETA]))
