"""What the simulated model writes: a pack read, its labels spelled, and defects on purpose.

Pure. `service` calls it for every request whose answer is text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from analysis.simulator.cache import BYTES_PER_TOKEN, tokens_of
from analysis.simulator.faults import Draw
from analysis.simulator.refusals import Refusal
from analysis.simulator.schemas import FREE_SHAPE, Shape, find_shape

_encode = msgspec.json.Encoder().encode

DECLINED = "I'm sorry, but I can't help with that."
"""Text of the fault `refusal`."""
UNKNOWN_LABEL = "no_such_label"
"""Label of the fault `out_of_enum`."""
UNASKED_ID = "zzzzzzzz"
"""Id of the fault `extra_item`."""


class PackedChunk(msgspec.Struct):
    """One chunk of a request."""

    id: str
    text: str


class Pack(msgspec.Struct):
    """The chunks of a request, their topic and place in their document, as user content."""

    chunks: list[PackedChunk]
    topic: str | None = None
    position: str | None = None


_decode_pack = msgspec.json.Decoder(Pack).decode


def read_pack(content: str) -> Pack | None:
    """Return the pack in a user content, or None if it is other text."""
    try:
        return _decode_pack(content)
    except msgspec.DecodeError:
        return None


def server_error(message: str) -> Refusal:
    """Return the refusal of a service that failed."""
    return Refusal(message, status=500, kind="server_error", code="server_error")


def model_failed(what: str) -> Refusal:
    """Return the refusal of a model that cannot do what it is asked."""
    return server_error(f"The simulated model {what}.")


def shape_of(schema: bytes) -> Shape | None:
    """Return the shape of the answer for an encoded schema, b"" being none."""
    return find_shape(schema) if schema else FREE_SHAPE


def spell(pack: Pack | None, labels: Sequence[Sequence[str]], schema: bytes, draw: Draw) -> str:
    """Return the text of an answer, with the defect of the draw.

    Args:
        pack: The chunks asked about; None makes the answer the first label of the only text.
        labels: Labels of each chunk, in order.
        schema: Encoded schema of the answer, or b"".
        draw: What the request meets.

    Raises:
        Refusal: If the schema has no shape that the model can fill, or does not allow a label.
    """
    if draw.defect == "refusal":
        return DECLINED
    if pack is None:
        return next(iter(labels[0]), "")
    shape = shape_of(schema)
    if shape is None:
        raise model_failed(
            "can only fill a schema of one array whose items have a string and an array of "
            "enum labels"
        )
    answers = []
    for chunk, keys in zip(pack.chunks, labels, strict=True):
        for key in keys:
            if shape.allowed is not None and key not in shape.allowed:
                raise model_failed(f"gave the label {key!r}, which the schema does not allow")
        answers.append(_entry(shape, chunk.id, list(keys[: shape.max_labels])))
    if not draw.defect:
        return _encode({shape.list_name: answers}).decode()
    answers = _with_defect(answers, shape, draw)
    return _spoiled(_encode({shape.list_name: answers}).decode(), draw)


def _entry(shape: Shape, chunk_id: str, keys: list[str]) -> dict[str, Any]:
    if shape.is_labels_first:
        return {shape.labels_name: keys, shape.id_name: chunk_id}
    return {shape.id_name: chunk_id, shape.labels_name: keys}


def _with_defect(answers: list[dict[str, Any]], shape: Shape, draw: Draw) -> list[dict[str, Any]]:
    """Return the entries of an answer, one of them spoiled; `draw.share` chooses it."""
    if not answers:
        return answers
    at = int(draw.share * len(answers))
    one = answers[at]
    match draw.defect:
        case "out_of_enum":
            return [*answers[:at], {**one, shape.labels_name: [UNKNOWN_LABEL]}, *answers[at + 1 :]]
        case "missing_item":
            return [*answers[:at], *answers[at + 1 :]]
        case "extra_item":
            return [*answers[:at], {**one, shape.id_name: UNASKED_ID}, *answers[at:]]
        case "doubled_item":
            return [*answers[:at], one, *answers[at:]]
    return answers


def _spoiled(text: str, draw: Draw) -> str:
    """Return the text of an answer cut or made unreadable in a way that the draw chooses."""
    if draw.defect == "truncated":
        return text[: 1 + int(draw.share * (len(text) - 1))]
    if draw.defect == "malformed":
        forms = (text[1:], f"{text}}}", text.replace(":", " ", 1))
        return forms[int(draw.share * len(forms))]
    return text


def capped(text: str, cap: int | None) -> tuple[str, int, bool]:
    """Return a text within so many tokens, its tokens, and whether it was cut."""
    encoded = text.encode()
    if cap is None or len(encoded) <= cap * BYTES_PER_TOKEN:
        return text, tokens_of(len(encoded)), False
    return encoded[: cap * BYTES_PER_TOKEN].decode(errors="ignore"), cap, True
