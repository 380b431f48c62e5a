"""In which form a request is asked: the fields that not every server takes, and what comes next.

Pure. `wire/responses.py` and `wire/chat.py` spell a form, `transport/rest.py` goes on to a simpler
one when a server refuses a field of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import msgspec

FORMATS = ("json_schema", "json_object", "text")
"""How the form of an answer is asked for, from the strictest; `text` leaves it to the
instructions, which demand JSON of a stated form anyway."""

CAPS = ("max_completion_tokens", "max_tokens")
"""Names of the output cap in chat completions: that of OpenAI's newer models, then that of older
servers."""

REFUSING_STATUSES = frozenset({400, 422})
"""Statuses under which servers name a field that they do not take."""

OPTIONAL = frozenset(
    {"temperature", "reasoning", "reasoning_effort", "store", "metadata", "safety_identifier"}
)
"""Fields that are left out where a model or a server does not take them. The service tier is none
of them: who asked for one wants it, or to hear that it is not to be had."""

TIER_NAMES = {"fast": ("fast", "priority"), "priority": ("priority", "fast")}
"""Service tier asked for -> the names under which it is reported. Source: OpenAI changelog,
2026-07."""

_CACHE_FIELDS = "prompt_cache_"
_FORMAT_FIELDS = ("response_format", "text.format")
_FORMAT_WORDS = re.compile(
    r"response[_ ]format|text\.format|json_schema|json_object", re.IGNORECASE
)
_LOGPROB_FIELDS = ("include", "logprobs", "top_logprobs")
"""Parameters by which servers name the refused question for log probabilities."""
_LOGPROB_WORDS = re.compile(r"logprobs|['\"`]include['\"`]")
_UNKNOWN_WORDS = re.compile(
    r"unsupported|not supported|unknown|unrecogni[sz]ed|unexpected|extra|not permitted|not allowed",
    re.IGNORECASE,
)
_QUOTED_OPTION = re.compile(rf"['\"`]({'|'.join(sorted(OPTIONAL))})['\"`]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """In which form a request is asked.

    Attributes:
        format: One of `FORMATS`.
        cap: One of `CAPS`; only chat completions have it.
        has_cache_options: The mode of the prompt cache is asked for; only the Responses API has it.
        without: Those of `OPTIONAL` that are left out.
        has_logprobs: The log probability of each token is asked for, of models that state it.
    """

    format: str = FORMATS[0]
    cap: str = CAPS[0]
    has_cache_options: bool = True
    without: frozenset[str] = frozenset()
    has_logprobs: bool = False


STRICTEST = Form()
"""Tried first."""


class _Refusal(msgspec.Struct):
    param: str | None = None


class _RefusalBody(msgspec.Struct):
    error: _Refusal | None = None


_decode = msgspec.json.Decoder(_RefusalBody).decode


def simpler(form: Form, *, status: int, content: bytes) -> Form | None:
    """Return the form to ask in after a refusal, or None if the refusal is about something else.

    Servers name a field in `error.param`, in their words, or in a list of faults; so the whole
    body is searched where there is no parameter.

    Args:
        form: The form of the refused request.
        status: The HTTP status of the refusal.
        content: Its raw body.
    """
    if status not in REFUSING_STATUSES:
        return None
    text = content.decode("utf-8", "replace")
    param = _param_of(content)
    names_cache = _CACHE_FIELDS in (param or text)
    if form.has_cache_options and names_cache and _UNKNOWN_WORDS.search(text):
        return replace(form, has_cache_options=False)
    if form.has_logprobs and _names_logprobs(param, text) and _UNKNOWN_WORDS.search(text):
        return replace(form, has_logprobs=False)
    refused = _refused_option(param, text)
    if refused is not None and refused not in form.without and _UNKNOWN_WORDS.search(text):
        return replace(form, without=form.without | {refused})
    is_about_format = param.startswith(_FORMAT_FIELDS)
    names_cap = param == form.cap or (form.cap in text and not is_about_format)
    if form.cap != CAPS[-1] and names_cap and _UNKNOWN_WORDS.search(text):
        return replace(form, cap=CAPS[-1])
    if form.format != FORMATS[-1] and (is_about_format or _FORMAT_WORDS.search(text)):
        return replace(form, format=FORMATS[FORMATS.index(form.format) + 1])
    return None


def notices(host: str, form: Form, simpler: Form) -> list[str]:
    """Return what to tell people about the step from a form to a simpler one."""
    told = []
    if simpler.cap != form.cap:
        told.append(f"{host} does not take {form.cap}: {simpler.cap} is sent.")
    if simpler.format != form.format:
        told.append(
            f"{host} does not take the answer format {form.format}: {simpler.format} is asked for; "
            "answers are checked as before."
        )
    left_out = set(simpler.without - form.without)
    if simpler.has_cache_options != form.has_cache_options:
        left_out.add("prompt_cache_options")
    if simpler.has_logprobs != form.has_logprobs:
        told.append(
            f"{host} does not take logprobs: it is left out, and labels have no confidence there."
        )
    return told + [f"{host} does not take {name}: it is left out." for name in sorted(left_out)]


def tier_notice(host: str, *, asked: str | None, served: str) -> str | None:
    """Return what to tell people if another service tier served than they asked for, else None."""
    if asked in (None, "auto") or served in TIER_NAMES.get(asked, (asked,)):
        return None
    return f"Service tier {asked} was asked for; {host} answered by {served}."


def _names_logprobs(param: str, text: str) -> bool:
    """Tell whether a refusal is about log probabilities: by its parameter, else by its words.

    One that names the answer format may be about both together; the format is worth more.
    """
    if param and not param.startswith(_FORMAT_FIELDS):
        return param.startswith(_LOGPROB_FIELDS)
    return _QUOTED_OPTION.search(text) is None and _LOGPROB_WORDS.search(text) is not None


def _refused_option(param: str, text: str) -> str | None:
    """Return the optional field that a refusal names: as its parameter, or in quotes."""
    name = param.partition(".")[0]
    if param:
        return name if name in OPTIONAL else None
    found = _QUOTED_OPTION.search(text)
    return found[1] if found else None


def _param_of(content: bytes) -> str:
    try:
        return (_decode(content).error or _Refusal()).param or ""
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
