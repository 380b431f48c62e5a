"""The tokens of an answer with their log probabilities, as the Responses API and chat state them.

Pure. `wire/responses.py` and `wire/chat.py` call it for answers to requests that asked for them.
The JSON is read a second time here: so answers without them are read as fast as ever, and whatever
is wrong with a token spoils no answer that was paid for; there are no tokens then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated

import msgspec

from analysis.records import Tokens

_BAD_JSON = (msgspec.MsgspecError, ValueError, RecursionError)

_Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]


class _Token(msgspec.Struct):
    """`bytes` is absent in some events; then the text of the token is all there is."""

    token: str = ""
    logprob: float | None = None
    encoded: list[_Byte] | None = msgspec.field(default=None, name="bytes")


class _Part(msgspec.Struct):
    type: str | None = None
    logprobs: list[_Token] | None = None


class _Item(msgspec.Struct):
    type: str | None = None
    content: list[_Part] | None = None


class _Response(msgspec.Struct):
    output: list[_Item] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] | None = None


_response = msgspec.json.Decoder(_Response).decode
_item = msgspec.json.Decoder(_Item).decode
_completion = msgspec.json.Decoder(_Completion).decode


def of_response(content: bytes | msgspec.Raw, pieces: Sequence[bytes] = ()) -> Tokens:
    """Return the tokens of the text of a response object, empty if they cannot be read.

    Args:
        content: The object as JSON.
        pieces: Output items as JSON, for an object that comes without its output.
    """
    try:
        items = _response(content).output or [_item(piece) for piece in pieces]
    except _BAD_JSON:
        return ()
    parts = chain.from_iterable(item.content or () for item in items if item.type == "message")
    return _tokens(
        chain.from_iterable(part.logprobs or () for part in parts if part.type == "output_text")
    )


def of_completion(content: bytes) -> Tokens:
    """Return the tokens of the text of a chat completion, empty if they cannot be read."""
    try:
        choices = _completion(content).choices or []
    except _BAD_JSON:
        return ()
    stated = choices[0].logprobs if len(choices) == 1 else None
    return _tokens((stated.content or ()) if stated is not None else ())


def _tokens(found: Iterable[_Token]) -> Tokens:
    return tuple(
        (
            one.token.encode() if one.encoded is None else bytes(one.encoded),
            math.nan if one.logprob is None else one.logprob,
        )
        for one in found
    )
