"""The addresses below /v1/files: upload, list, look up, read and delete a file.

Pure. `routes` leads here; `batches` reads its input from these files and leaves its output in
them. Sources: section 7.4 of the protocol notes and openai-python 3.52.0; wordings are guesses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import Message

from analysis.simulator.outcomes import HttpOutcome, settle
from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_choice,
    check_integer,
    missing_parameter,
)
from analysis.simulator.service import Service
from analysis.simulator.storage import StoredFile

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
OUTPUT_PURPOSE = "batch_output"
BATCH_LIFE_S = 30 * 86_400
"""Files of the purpose `batch` expire after 30 days unless the upload says otherwise."""
SHORTEST_LIFE_S = 3_600
LONGEST_LIFE_S = 2_592_000
LONGEST_LIST = 10_000
_ORDERS = ("asc", "desc")
_UNSAFE = re.compile(r'[^ -~]|["\\]')
"""Characters of a file name that a header does not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request below an address that keeps things.

    Attributes:
        name: The id in the path, or "".
        key: The key of the request.
        query: Parameters of the URL.
        headers: Names in lower case, or a case-insensitive mapping.
        body: The whole body.
        now: Monotonic seconds.
    """

    name: str = ""
    key: str = ""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a form; `filename` is None for a plain field."""

    name: str
    filename: str | None
    content: bytes


def read_form(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a body of the type multipart/form-data (RFC 7578).

    Raises:
        Refusal: If it is none.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise Refusal("Send the file as multipart/form-data.", param="file")
    mark = b"\r\n--" + boundary.encode()
    pieces = (b"\r\n" + body).split(mark)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Refusal("The form is cut: its last boundary is missing.", param="file")
    return [_read_part(piece) for piece in pieces[1:-1]]


def _read_part(piece: bytes) -> Part:
    head, separator, content = piece.partition(b"\r\n\r\n")
    header = Message()
    for line in head.decode(errors="replace").splitlines():
        field, _, value = line.partition(":")
        if value:
            header[field.strip()] = value.strip()
    name = header.get_param("name", header="content-disposition")
    if not separator or not isinstance(name, str):
        raise Refusal("A part of the form has no name.", param="file")
    return Part(name=name, filename=header.get_filename(), content=content)


def upload(service: Service, call: Call) -> HttpOutcome:
    """Keep an uploaded file."""
    parts = {part.name: part for part in read_form(call.headers.get("content-type", ""), call.body)}
    fields = {name: part.content.decode(errors="replace") for name, part in parts.items()}
    if "file" not in parts:
        raise missing_parameter("file")
    if "purpose" not in parts:
        raise missing_parameter("purpose")
    purpose = check_choice(fields["purpose"], PURPOSES, "purpose")
    content, most = parts["file"].content, service.profile.batch.file_bytes
    if len(content) > most:
        raise Refusal(
            f"The file has {len(content)} bytes; at most {most} are allowed.",
            status=413,
            code="file_too_large",
            param="file",
        )
    life_s = BATCH_LIFE_S if purpose == "batch" else None
    if "expires_after[seconds]" in fields:
        life_s = check_life(_number(fields["expires_after[seconds]"]), "expires_after.seconds")
    stored = keep(
        service,
        content,
        purpose=purpose,
        filename=parts["file"].filename or "upload",
        life_s=life_s,
        at_unix=service.unix_time(call.now),
    )
    return settle(service, file_object(stored), at=call.now)


def _number(text: str) -> object:
    return int(text) if text.isdecimal() else text


def check_life(value: object, param: str) -> int:
    """Return the life of a file in seconds, or raise `Refusal`."""
    return check_integer(value, SHORTEST_LIFE_S, LONGEST_LIFE_S, param)


def keep(
    service: Service,
    content: bytes,
    *,
    purpose: str,
    filename: str,
    life_s: int | None,
    at_unix: float,
) -> StoredFile:
    """Keep a file and return it."""
    created_at = int(at_unix)
    stored = StoredFile(
        id=service.new_id("file"),
        created_at=created_at,
        expires_at=None if life_s is None else created_at + life_s,
        filename=filename,
        purpose=purpose,
        content=content,
    )
    service.storage.files[stored.id] = stored
    return stored


def find_file(service: Service, name: str, now: float, *, status: int = 404) -> StoredFile:
    """Return a file that is there and not expired.

    Raises:
        Refusal: With the status, else.
    """
    stored = service.storage.files.get(name)
    if stored is None or _is_expired(stored, service.unix_time(now)):
        raise Refusal(f"No such File object: {name}", status=status, param="id")
    return stored


def _is_expired(stored: StoredFile, at_unix: float) -> bool:
    return stored.expires_at is not None and stored.expires_at <= at_unix


def look_up(service: Service, call: Call) -> HttpOutcome:
    """Tell about one file."""
    return settle(service, file_object(find_file(service, call.name, call.now)), at=call.now)


def read_content(service: Service, call: Call) -> HttpOutcome:
    """Send the bytes of a file."""
    stored = find_file(service, call.name, call.now)
    outcome = settle(service, {}, at=call.now)
    headers = {**outcome.headers, "content-type": "application/octet-stream"}
    filename = _UNSAFE.sub("_", stored.filename)
    headers["content-disposition"] = f'attachment; filename="{filename}"'
    return replace(outcome, body=stored.content, headers=headers)


def delete(service: Service, call: Call) -> HttpOutcome:
    """Remove a file."""
    stored = find_file(service, call.name, call.now)
    del service.storage.files[stored.id]
    return settle(service, {"id": stored.id, "object": "file", "deleted": True}, at=call.now)


def list_files(service: Service, call: Call) -> HttpOutcome:
    """List the files, newest first unless the query says otherwise."""
    order = check_choice(call.query.get("order", "desc"), _ORDERS, "order")
    purpose = call.query.get("purpose")
    found = [
        file_object(each)
        for each in service.storage.files.values()
        if purpose in (None, each.purpose)
    ]
    if order == "desc":
        found.reverse()
    return settle(service, page(found, call.query, LONGEST_LIST, LONGEST_LIST), at=call.now)


def page(found: Sequence[Json], query: Mapping[str, str], default: int, most: int) -> Json:
    """Return the part of a list that the query asks for with `after` and `limit`.

    Raises:
        Refusal: If the limit is out of bounds.
    """
    limit = check_integer(_number(query.get("limit", str(default))), 1, most, "limit")
    names = [each["id"] for each in found]
    after = query.get("after")
    start = names.index(after) + 1 if after in names else 0
    shown = list(found[start : start + limit])
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + limit < len(found),
    }


def file_object(stored: StoredFile) -> Json:
    """Return what is told about a file."""
    return {
        "id": stored.id,
        "object": "file",
        "bytes": len(stored.content),
        "created_at": stored.created_at,
        "expires_at": stored.expires_at,
        "filename": stored.filename,
        "purpose": stored.purpose,
        "status": "processed",
        "status_details": None,
    }
