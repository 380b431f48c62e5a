"""Settings are tried one by one, and what the server says is kept."""

from __future__ import annotations

import asyncio
import json

from websockets.asyncio.server import ServerConnection

from analysis.check import TRIALS, Finding, settings
from analysis.check.trials import Trial, try_all
from analysis.settings import DEFAULT_MODELS
from tests.check.endpoints import NOBODY, named, scripted, service_at

GREETING = json.dumps({"type": "session.created", "session": {"type": "realtime"}})
UPDATED = json.dumps({"type": "session.updated", "session": {}})
ONE, TWO = (
    Trial(name=name, event={"type": "session.update", "session": {"x": name}}, is_taken=False)
    for name in ("one", "two")
)


async def tried(*answers: str, greeting: str = GREETING) -> list[Finding]:
    """Try two settings at a server that answers each update with the next of these frames.

    An empty frame closes the connection.
    """
    left = list(answers)

    async def talk(socket: ServerConnection) -> None:
        await socket.send(greeting)
        async for _ in socket:
            if left and left[0]:
                await socket.send(left.pop(0))
            else:
                del left[:1]
                await socket.close(code=4000, reason="invalid_request_error")
                return

    async with scripted(talk) as endpoint:
        return await try_all(endpoint, "m", (ONE, TWO), 0.5)


def error(message: str, event_id: str | None = None, code: str = "invalid_value") -> str:
    """Return an error event."""
    fields = {"code": code, "message": message, "param": "session.x", "event_id": event_id}
    return json.dumps({"type": "error", "error": fields})


def outcomes(findings: list[Finding]) -> list[object]:
    """Return what became of each trial."""
    return [finding.facts["outcome"] for finding in findings]


def test_names_of_trials_are_unique() -> None:
    """Findings can be looked up by name, in both dialects."""
    for trials in TRIALS.values():
        assert len(trials) == len({trial.name for trial in trials})


def test_the_settings_in_effect_are_told() -> None:
    """As the server confirmed them, without the prompt, which is long and ours."""
    with service_at(dialect="beta") as endpoint:
        first, *_ = asyncio.run(settings(endpoint))
    in_effect = first.facts["in_effect"]
    assert isinstance(in_effect, dict)
    assert [["text"], 0.6] == [in_effect["modalities"], in_effect["temperature"]]
    assert not {"instructions", "tools"} & set(in_effect)


def test_a_model_that_the_service_does_not_know_ends_the_probe() -> None:
    """One finding, with another model as cure; no trial is sent."""
    with service_at() as endpoint:
        asked = DEFAULT_MODELS | {"realtime": "gpt-7-nova"}
        (finding,) = asyncio.run(settings(endpoint, asked=asked))
    assert ("session settings", False) == (finding.name, finding.ok)
    assert "--model" in finding.cure


def test_a_dead_endpoint_ends_the_probe() -> None:
    """One finding, with the way as cure."""
    (finding,) = asyncio.run(settings(NOBODY))
    assert "proxy" in finding.cure


def test_the_words_of_a_refusal_are_kept() -> None:
    """Code, parameter and message, as the server spells them."""
    first, second = asyncio.run(tried(error("No x."), UPDATED))
    assert ["invalid_value", "session.x", "No x."] == [
        first.facts[name] for name in ("code", "param", "words")
    ]
    assert "refused (invalid_value): No x." == first.message
    assert ["refused", "accepted"] == outcomes([first, second])


def test_a_server_that_takes_more_is_ok() -> None:
    """Nothing of ours depends on a refusal; the difference to the vendor's service is told."""
    first, _ = asyncio.run(tried(UPDATED, UPDATED))
    assert first.ok
    assert "accepted; the vendor's service: refused" == first.message


def test_an_error_about_another_event_passes_by() -> None:
    """Only an error that names our event, or none, is the answer to it."""
    frames = [error("Old.", "trial_9"), error("New.", "trial_0")]
    both = f"[{frames[0]}]"  # no object: passes by, too

    async def talk(socket: ServerConnection) -> None:
        await socket.send(GREETING)
        async for _ in socket:
            for frame in (both, *frames):
                await socket.send(frame)

    async def run() -> list[Finding]:
        async with scripted(talk) as endpoint:
            return await try_all(endpoint, "m", (ONE,), 0.5)

    (finding,) = asyncio.run(run())
    assert "New." == finding.facts["words"]


def test_a_closed_connection_is_replaced_for_the_next_trial() -> None:
    """The trial that closed it failed with the close reason; the next one has its own session."""
    first, second = asyncio.run(tried("", UPDATED))
    assert ["unanswered", "accepted"] == outcomes([first, second])
    assert "code 4000 invalid_request_error" in first.message
    assert first.cure


def test_no_json_and_no_answer_are_failures() -> None:
    """Each trial ends by itself."""
    first, second = asyncio.run(tried("{", json.dumps({"type": "conversation.created"})))
    assert ["unanswered", "unanswered"] == outcomes([first, second])
    assert ["the answer is no JSON", "no answer within 0.5 s"] == [first.message, second.message]


def test_an_error_in_place_of_a_greeting_is_no_session() -> None:
    """Nothing is tried on it; both trials say why."""
    findings = asyncio.run(tried(greeting=error("Go away.")))
    assert ["unanswered"] * 2 == outcomes(findings)
    assert all("did not greet" in finding.message for finding in findings)


def test_a_key_in_the_words_of_a_server_is_not_shown() -> None:
    """A server that quotes a key in a refusal does not bring it into a report."""
    first, _ = asyncio.run(tried(error("Bad key sk-abcdef123456."), UPDATED))
    assert "sk-abcdef" not in json.dumps(first.to_dict())


def test_all_findings_have_their_own_name() -> None:
    """One per trial, after that of the product's settings."""
    with service_at() as endpoint:
        findings = asyncio.run(settings(endpoint))
    assert 1 + len(TRIALS["ga"]) == len(named(findings))
