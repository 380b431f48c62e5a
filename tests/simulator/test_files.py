"""Behaviour of the addresses below /v1/files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from openai.types import FileDeleted, FileObject

from analysis.simulator.files import read_form
from analysis.simulator.profile import PROFILE
from tests.simulator.batch_examples import BOUNDARY, call, form, told, upload
from tests.simulator.examples import error_of, service

KIND = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def test_file_has_a_life() -> None:
    """What was uploaded is told, listed and read byte by byte, and gone after deletion."""
    account = service(epoch_s=1_790_000_000.0)
    content = b'{"a": 1}\r\n--limi\n\x00\xff\r\n'
    made = upload(account, content, now=5.0)
    FileObject.model_validate(made, strict=True)
    assert ("batch", "rows.jsonl", len(content), 1_790_000_005, 1_790_000_005 + 2_592_000) == tuple(
        made[name] for name in ("purpose", "filename", "bytes", "created_at", "expires_at")
    )
    assert made == told(call(account, "GET", f"/files/{made['id']}"))
    assert [made] == told(call(account, "GET", "/files"))["data"]
    outcome = call(account, "GET", f"/files/{made['id']}/content")
    assert (content, "application/octet-stream") == (outcome.body, outcome.headers["content-type"])
    assert 'attachment; filename="rows.jsonl"' == outcome.headers["content-disposition"]
    deleted = told(call(account, "DELETE", f"/files/{made['id']}"))
    FileDeleted.model_validate(deleted, strict=True)
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        outcome = call(account, method, f"/files/{made['id']}{path}")
        assert (404, None, "id") == error_of(outcome)


def test_file_expires() -> None:
    """The life that the upload asks for ends the file."""
    account = service()
    made = upload(account, b"x", {"expires_after[seconds]": "3600"})
    path = f"/files/{made['id']}"
    assert [200, 404] == [call(account, "GET", path, now=now).status for now in (3_599.0, 3_600.0)]


@given(
    content=st.lists(st.sampled_from([b"\r\n", b"--", b"limit", b"-", b"\r", b"\n", b"x"])).map(
        b"".join
    )
)
def test_any_content_comes_through(content: bytes) -> None:
    """A form gives back every byte, whatever looks like a boundary and is none."""
    assume(b"\r\n--limit" not in b"\r\n" + content)
    parts = read_form(KIND["content-type"], form(content))
    assert [b"batch", content] == [part.content for part in parts]


def test_list_is_paged() -> None:
    """`after`, `limit`, `order` and `purpose` choose the files; newest first."""
    account = service()
    names = [
        upload(account, b"x", {"purpose": purpose})["id"]
        for purpose in ("batch", "user_data", "batch")
    ]

    def listed(**query: str) -> tuple[list[str], bool]:
        answer = told(call(account, "GET", "/files", query=query))
        return [each["id"] for each in answer["data"]], answer["has_more"]

    assert (names[::-1], False) == listed()
    assert (names[:2], True) == listed(order="asc", limit="2")
    assert (names[2:], False) == listed(order="asc", after=names[1])
    assert ([names[2], names[0]], False) == listed(purpose="batch")
    bad = call(account, "GET", "/files", query={"limit": "0"})
    assert (400, "integer_below_min_value", "limit") == error_of(bad)
    assert (400, "invalid_value", "order") == error_of(
        call(account, "GET", "/files", query={"order": "up"})
    )


@pytest.mark.parametrize(
    ("content", "headers", "expected"),
    [
        (form(b"x", purpose="other"), KIND, (400, "invalid_value", "purpose")),
        (form(b"x"), {"content-type": "application/json"}, (400, None, "file")),
        (form(b"x"), {"content-type": "multipart/form-data"}, (400, None, "file")),
        (form(b"x")[:-4], KIND, (400, None, "file")),
        (
            form(b"x").replace(b'name="purpose"', b'name="other"'),
            KIND,
            (400, "missing_required_parameter", "purpose"),
        ),
        (
            form(b"x").replace(b'name="file"', b'name="other"'),
            KIND,
            (400, "missing_required_parameter", "file"),
        ),
        (form(b"x").replace(b'name="file"', b"x"), KIND, (400, None, "file")),
        (form(b"x" * 101), KIND, (413, "file_too_large", "file")),
        (
            form(b"x", **{"expires_after[seconds]": "3599"}),
            KIND,
            (400, "integer_below_min_value", "expires_after.seconds"),
        ),
        (
            form(b"x", **{"expires_after[seconds]": "soon"}),
            KIND,
            (400, "invalid_type", "expires_after.seconds"),
        ),
    ],
)
def test_bad_uploads_are_refused(
    content: bytes, headers: dict[str, str], expected: tuple[int, str, str]
) -> None:
    """Each names its status, code and place."""
    profile = replace(PROFILE, batch=replace(PROFILE.batch, file_bytes=100))
    outcome = call(service(profile=profile), "POST", "/files", content, headers=headers)
    assert expected == error_of(outcome)


def test_file_name_is_made_safe_for_the_header() -> None:
    """Quotes, line ends and letters outside of ASCII become underlines."""
    account = service()
    made = upload(account, b"x", {"filename": "é.jsonl"})
    header = call(account, "GET", f"/files/{made['id']}/content").headers["content-disposition"]
    assert 'attachment; filename="_.jsonl"' == header
    assert "é.jsonl" == json.loads(json.dumps(made["filename"]))
