"""No body breaks the service: whatever stands in one place of a good one, there is an answer."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.simulator.batch_examples import call, lines, odd_variants, row, start, state, upload
from tests.simulator.examples import body, chat, service
from tests.simulator.test_decisions import CHOICES

DECISION = {
    "model": "gpt-6-luna",
    "input": [
        {
            "type": "message",
            "role": "user",
            "content": [
                {
                    "type": "input_text",
                    "text": "t",
                    "prompt_cache_breakpoint": {"mode": "explicit"},
                },
                {"type": "input_image", "image_url": "https://x/y", "detail": "low"},
                {"type": "input_json", "data": {"a": [1]}},
            ],
        },
        {"role": "assistant", "content": "a", "phase": "commentary"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "o", "status": "completed"},
    ],
    "questions": [
        {"type": "choice", "name": "n", "instructions": "i", "choices": CHOICES},
        {
            "type": "score",
            "instructions": [{"type": "input_text", "text": "t"}],
            "levels": [{"label": "a", "description": "d"}, {"label": "b"}],
        },
    ],
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    "safety_identifier": "s",
}
SECRET = {
    "expires_after": {"anchor": "created_at", "seconds": 60},
    "session": {"type": "realtime", "output_modalities": ["text"], "audio": {"input": {}}},
}


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("/decisions", DECISION),
        ("/realtime/client_secrets", SECRET),
        ("/chat/completions", chat()),
        ("/responses", body()),
    ],
)
def test_odd_values_are_answered(path: str, good: dict[str, Any]) -> None:
    """The answer is a refusal or, where the value does no harm, a good one."""
    account = service()
    seen: Counter[int] = Counter()
    for variant in odd_variants(good):
        outcome = call(account, "POST", path, json.dumps(variant).encode())
        seen[outcome.status] += 1
        if outcome.status == 500:
            text = json.loads(outcome.body)["error"]["message"]
            assert text.startswith("The simulated model ")
    assert 200 == call(account, "POST", path, json.dumps(good).encode()).status
    assert seen[400] > 50
    assert set(seen) <= {200, 400, 404, 500}


def test_odd_batches_are_answered() -> None:
    """The same holds for the creation of a batch."""
    account = service()
    good = {
        "input_file_id": upload(account, lines(row("a")))["id"],
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "metadata": {"a": "b"},
        "output_expires_after": {"anchor": "created_at", "seconds": 3_600},
    }
    seen = {
        call(account, "POST", "/batches", json.dumps(variant).encode()).status
        for variant in odd_variants(good)
    }
    assert {200, 400} == seen


def test_odd_rows_end_their_batch() -> None:
    """An odd row fails the validation of its batch or has a line in one of its files."""
    for variant in odd_variants(row("a")):
        account = service()
        ended = state(account, start(account, lines(variant)), 10.0)
        counts = ended["request_counts"]
        if ended["status"] == "completed":
            assert 1 == counts["total"] == counts["completed"] + counts["failed"]
        else:
            assert ("failed", 1) == (ended["status"], ended["errors"]["data"][0]["line"])
