"""Which form of a request comes after a refused one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.wire import forms
from analysis.wire.forms import STRICTEST, Form

OBJECT = Form(format="json_object")
TEXT = Form(format="text")
BARE = Form(without=frozenset({"temperature"}))
OLD_CAP = Form(cap="max_tokens")


def refusal(message: str, param: str | None = None, code: str | None = None) -> bytes:
    """Return the body of a refusal."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return json.dumps({"error": error}).encode()


VLLM_CAP = (
    b"{\"object\":\"error\",\"message\":\"[{'type': 'extra_forbidden', 'loc': ('body', "
    b"'max_completion_tokens'), 'msg': 'Extra inputs are not permitted'}]\",\"code\":400}"
)
FASTAPI_CAP = json.dumps(
    {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"]}]}
).encode()
TOO_LARGE = "'max_tokens' or 'max_completion_tokens' is too large: 80. The maximum is 64."


@pytest.mark.parametrize(
    ("form", "status", "content", "expected"),
    [
        (STRICTEST, 400, refusal("no", "response_format"), OBJECT),
        (STRICTEST, 400, refusal("no", "response_format.json_schema"), OBJECT),
        (STRICTEST, 400, refusal("no", "text.format"), OBJECT),
        (OBJECT, 400, refusal("must contain the word json to use 'text.format'", "input"), TEXT),
        (STRICTEST, 400, refusal("This response_format type is unavailable now"), OBJECT),
        (STRICTEST, 422, refusal("invalid value: `json_schema`, use `text`"), OBJECT),
        (STRICTEST, 400, b"this model has no Response Format", OBJECT),
        (
            OBJECT,
            400,
            b"{\"error\":\"'response_format.type' must be 'json_schema' or 'text'\"}",
            TEXT,
        ),
        (TEXT, 400, refusal("no", "response_format"), None),
        (STRICTEST, 400, VLLM_CAP, OLD_CAP),
        (STRICTEST, 422, FASTAPI_CAP, OLD_CAP),
        (
            STRICTEST,
            400,
            refusal("Unsupported parameter", "max_completion_tokens", "unsupported_parameter"),
            OLD_CAP,
        ),
        (STRICTEST, 400, refusal(TOO_LARGE, "max_completion_tokens"), None),
        (OLD_CAP, 400, VLLM_CAP, None),
        (STRICTEST, 400, refusal("no", "messages"), None),
        (STRICTEST, 400, refusal("no", "temperature", "unsupported_value"), BARE),
        (STRICTEST, 400, refusal("not permitted", "temperature.x"), BARE),
        (STRICTEST, 422, b"{'loc': ('body', 'temperature'), 'msg': 'Extra inputs'}", BARE),
        (BARE, 400, refusal("no", "temperature", "unsupported_value"), None),
        (STRICTEST, 400, refusal("0.5 is too large", "temperature"), None),
        (STRICTEST, 400, refusal("Unsupported", "service_tier"), None),
        (STRICTEST, 500, refusal("no", "response_format"), None),
        (STRICTEST, 200, b"{}", None),
        (STRICTEST, 400, b"\xff\xfe", None),
    ],
)
def test_a_refused_field_has_a_next_form(
    form: Form, status: int, content: bytes, expected: Form | None
) -> None:
    """Only a refusal that names the field simplifies it, and only as far as there is a form."""
    assert expected == forms.simpler(form, status=status, content=content)


@given(
    content=st.binary(max_size=60),
    form=st.builds(Form, format=st.sampled_from(forms.FORMATS), cap=st.sampled_from(forms.CAPS)),
)
def test_forms_only_ever_get_simpler(content: bytes, form: Form) -> None:
    """So a server that refuses everything is asked four times at most."""
    found = forms.simpler(form, status=400, content=content + b" unknown json_schema max_")

    def rank(one: Form) -> int:
        return forms.FORMATS.index(one.format) + forms.CAPS.index(one.cap)

    assert found is None or rank(found) == rank(form) + 1


def test_each_step_to_a_simpler_form_is_one_sentence() -> None:
    """Only what changed is told."""
    whole = Form(without=frozenset({"store"}))
    bare = Form(
        format="text",
        cap="max_tokens",
        has_cache_options=False,
        without=frozenset({"store", "temperature"}),
    )
    assert [] == forms.notices("h", whole, whole)
    assert [
        "h does not take max_completion_tokens: max_tokens is sent.",
        "h does not take the answer format json_schema: text is asked for; answers are checked as "
        "before.",
        "h does not take prompt_cache_options: it is left out.",
        "h does not take temperature: it is left out.",
    ] == forms.notices("h", whole, bare)


@pytest.mark.parametrize(
    ("asked", "served", "is_told"),
    [
        (None, "default", False),
        ("auto", "flex", False),
        ("flex", "flex", False),
        ("fast", "priority", False),
        ("priority", "fast", False),
        ("flex", "default", True),
        ("fast", "default", True),
    ],
)
def test_another_tier_than_the_one_asked_for_is_told(
    asked: str | None, served: str, is_told: bool
) -> None:
    """One tier has two names; who left the choice to the account is told nothing."""
    expected = f"Service tier {asked} was asked for; h answered by {served}." if is_told else None
    assert expected == forms.tier_notice("h", asked=asked, served=served)


LOUD = Form(has_logprobs=True)
BOTH = "logprobs is not supported when using the response_format parameter"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (refusal("Unsupported parameter: 'logprobs'", "logprobs"), STRICTEST),
        (refusal("Unsupported parameter: 'include'", "include"), STRICTEST),
        (refusal("Unsupported value", "include[0]"), STRICTEST),
        (refusal("logprobs are not supported with reasoning models."), STRICTEST),
        (refusal("Unknown parameter: `include`"), STRICTEST),
        (refusal(BOTH), STRICTEST),
        (refusal(BOTH, "response_format"), STRICTEST),
        (
            json.dumps({"detail": [{"loc": ["body", "logprobs"], "msg": "Extra inputs"}]}).encode(),
            STRICTEST,
        ),
        (
            refusal("Unknown parameter: 'store' (not 'logprobs')"),
            Form(has_logprobs=True, without=frozenset({"store"})),
        ),
        (refusal("no", "response_format"), Form(has_logprobs=True, format="json_object")),
        (
            refusal("no logprobs", "temperature", "unsupported_value"),
            Form(has_logprobs=True, without=frozenset({"temperature"})),
        ),
        (refusal("logprobs has a wrong value", "logprobs"), None),
        (refusal("no such model", "model"), None),
    ],
)
def test_refused_log_probabilities_are_given_up_before_the_format(
    content: bytes, expected: Form | None
) -> None:
    """A confidence is worth less than a strict schema, and nothing else is simplified."""
    assert expected == forms.simpler(LOUD, status=400, content=content)


def test_log_probabilities_that_were_not_asked_for_are_not_given_up() -> None:
    """Without them a refusal means what it always meant."""
    assert None is forms.simpler(STRICTEST, status=400, content=refusal("unknown", "logprobs"))
    assert OBJECT == forms.simpler(STRICTEST, status=400, content=refusal(BOTH))
    assert [
        "h does not take logprobs: it is left out, and labels have no confidence there."
    ] == forms.notices("h", LOUD, STRICTEST)
