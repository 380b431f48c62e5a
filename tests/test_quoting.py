"""What a service repeats of a text is taken out of its words, however it spells it."""

from __future__ import annotations

import html
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import AnalysisError, RequestRejected, TransportError
from analysis.quoting import TEXT, Silencer, texts_of, with_plain_model, without_texts
from analysis.records import ChoiceReply, Chunk, Ending, Item, Pack, Place, TextReply

ENGLISH = 'A canary of yellow feathers "sang" in shaft nine; it\'s < & > any\nother bird of mines'
RUSSIAN = "Жёлтая канарейка пела в девятой шахте, и никто не слышал её, кроме сторожа"
CHINESE = "黄色的金丝雀在九号矿井里歌唱,没有人听见它的声音"
TEXTS = (ENGLISH, RUSSIAN, CHINESE)

SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "JSON": json.dumps,
    "JSON with letters": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "HTML": html.escape,
    "HTML in numbers": lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)),
    "address": urllib.parse.quote,
    "form": urllib.parse.quote_plus,
    "Python": repr,
    "Python in ASCII": ascii,
    "Python bytes": lambda text: repr(text.encode()),
    "capitals": str.upper,
    "one line": lambda text: " ".join(text.split()),
    "no spaces": lambda text: "".join(text.split()),
    "no accents": lambda text: text.replace("ё", "е"),
    "cut": lambda text: text[: len(text) * 2 // 3],
    "its end": lambda text: text[len(text) // 3 :],
}


def pack(*texts: str, topic: str | None = None, title: str | None = None) -> Pack:
    """Return a pack of these texts."""
    items = tuple(
        Item(ticket=number, chunk=Chunk(id=str(number), text=text, title=title), tokens=1)
        for number, text in enumerate(texts)
    )
    return Pack(items=items, topic=topic)


def shared(one: str, other: str, length: int) -> list[str]:
    """Return the parts of a length that stand in both, letters only: the slow obvious way."""
    first, second = ("".join(filter(str.isalnum, text.lower())) for text in (one, other))
    parts = (first[place : place + length] for place in range(len(first) - length + 1))
    return [part for part in parts if part in second]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("text", TEXTS, ids=("en", "ru", "zh"))
def test_a_text_is_taken_out_in_every_spelling(text: str, spelling: str) -> None:
    """What stands before and behind it stays."""
    said = f"Refused (HTTP 400 odd): {SPELLINGS[spelling](text)} -- look at it."
    left = without_texts(said, ["Something else.", text])
    assert left.startswith("Refused (HTTP 400 odd): ")
    assert left.endswith(" -- look at it.")
    assert TEXT in left
    assert len(left) < 60


def test_a_message_without_the_texts_stays_as_it_is() -> None:
    """Words that both happen to use are no repetition."""
    said = "The canary of the service is ill: try again in 20 s (request_id req_0123456789abcdef)."
    assert said == without_texts(said, [*TEXTS, "", "   ", "try again"])


def test_a_run_is_taken_out_and_a_shorter_one_stays() -> None:
    """From 20 letters and digits on, or 10 of a script without spaces."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    assert "x [text]." == without_texts(f"x {letters[:20]}.", [letters])
    assert f"x {letters[:19]}." == without_texts(f"x {letters[:19]}.", [letters])
    assert "x [text]." == without_texts(f"x {CHINESE[:10]}.", [CHINESE])
    assert f"x {CHINESE[:9]}." == without_texts(f"x {CHINESE[:9]}.", [CHINESE])


def test_a_short_text_is_taken_out_as_a_whole() -> None:
    """From 12 letters on; shorter ones are words like any other."""
    assert "no: [text]" == without_texts("no: ANNA HAS CANCER", ["Anna has cancer", "x" * 500])
    assert "no: [text]。" == without_texts("no: 她早已患有癌症。", ["她早已患有癌症。", "x"])
    assert "no: limit" == without_texts("no: limit", ["limit"])


def test_parts_of_several_texts_are_marked_each() -> None:
    """Two parts with words between them are two marks; without words they are one."""
    said = f"First {ENGLISH} and then {RUSSIAN}, {RUSSIAN}!"
    assert "First [text] and then [text]!" == without_texts(said, TEXTS)


@given(
    before=st.text(alphabet="xyz .", max_size=60),
    text=st.text(alphabet="abcxyz .", max_size=120),
    cut=st.integers(0, 100),
    after=st.text(alphabet="xyz .", max_size=60),
)
def test_no_long_part_of_a_text_is_ever_left(before: str, text: str, cut: int, after: str) -> None:
    """Whatever stands around it; a message that shares nothing stays itself."""
    said = before + text[cut:] + after
    left = without_texts(said, [text])
    assert [] == [part for one in left.split(TEXT) for part in shared(one, text, 20)]
    if not shared(said, text, 12):
        assert said == left


@given(st.text(alphabet='ab\\"&;#x%41uU{}n0dDcC ¼ßЁ喝🙂', max_size=80))
def test_odd_escapes_never_raise(said: str) -> None:
    """Halves of escapes, numbers beyond all letters; the whole is always found in itself."""
    assert isinstance(without_texts(said, [said, said[::-1]]), str)
    assert without_texts(said + ENGLISH, [ENGLISH]).endswith(TEXT)


def test_all_that_a_request_says_of_its_chunks_is_looked_at() -> None:
    """Texts, neighbours, title and topic."""
    place = Place(number=2, before=("before",), after=("after",))
    chunk = Chunk(id="1", text="text", title="title", place=place)
    one = Pack(items=(Item(ticket=1, chunk=chunk, tokens=1),), topic="topic")
    assert ["text", "before", "after", "topic", "title"] == list(texts_of(one))
    assert ["text"] == list(texts_of(pack("text")))


def silenced(error: AnalysisError, own: Pack, *others: Pack) -> str:
    """Return what an error says after it was cleaned."""
    Silencer(lambda: others).clean(error, own)
    return str(error)


def test_an_error_is_cleaned_in_place_with_code_and_cause() -> None:
    """Whoever holds the same error, a route that remembers it, says nothing either."""
    error = RequestRejected(f"no: {ENGLISH}", code=ENGLISH)
    error.__cause__ = ValueError(ENGLISH)
    assert "no: [text]" == silenced(error, pack(ENGLISH))
    assert "[text] None" == f"{error.code} {error.__cause__}"
    assert error.__suppress_context__
    clean = RequestRejected("no", code="odd")
    clean.__cause__ = ValueError("why")
    assert "no" == silenced(clean, pack(ENGLISH))
    assert "odd why" == f"{clean.code} {clean.__cause__}"


def test_an_error_of_one_request_is_held_against_that_one_only() -> None:
    """It costs no more with a thousand requests on their way."""
    assert f"no: {RUSSIAN}" == silenced(
        RequestRejected(f"no: {RUSSIAN}"), pack(ENGLISH), pack(RUSSIAN)
    )


@pytest.mark.parametrize("ending", [Ending.UNKNOWN, Ending.UNSENT])
def test_the_end_of_a_socket_is_held_against_all_requests(ending: Ending) -> None:
    """A close reason may repeat the text of another one; the same words are looked at once."""
    asked: list[int] = []

    def in_flight() -> list[Pack]:
        asked.append(1)
        return [pack(RUSSIAN)]

    silencer = Silencer(in_flight)
    for _ in range(3):
        error = TransportError(f"closed: {RUSSIAN}", ending=ending)
        error.loss = None if ending is Ending.UNSENT else silencer
        silencer.clean(error, pack(ENGLISH))
        assert "closed: [text]" == str(error)
    assert [1] == asked
    for number in range(100):
        error = TransportError(f"closed: {number}", ending=Ending.UNSENT)
        silencer.clean(error, pack(ENGLISH))
        assert f"closed: {number}" == str(error)


def test_a_model_is_named_as_reported_unless_it_is_a_text() -> None:
    """Names of models have no spaces."""
    reply = TextReply(text="", model="gpt-6-luna-2026-09-22")
    assert reply is with_plain_model(reply, pack("gpt-6-luna-2026-09-22 is the model"))
    odd = ChoiceReply(choices={}, model=ENGLISH)
    assert TEXT == with_plain_model(odd, pack(ENGLISH)).model
