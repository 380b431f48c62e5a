"""Lines that were read in another encoding than their own."""

from __future__ import annotations

import pytest

from analysis.pipeline.misread import misreading

RUSSIAN = "Ночной поезд приходит в город утром, ВСЁ ещё спит: «Её ждут»."
FRENCH = "ÉLÈVES ÂGÉS : l’été, le théâtre a déjà fermé – où êtes-vous allés ?"
CHINESE = "夜车早上到达城市，大家还在睡觉，只有几个人在等她，模样很安静。"


def read_as(text: str, written: str, read: str) -> str:
    """Return a text that was written in one encoding as another one reads it."""
    return text.encode(written).decode(read)


@pytest.mark.parametrize(
    ("text", "written", "read", "part"),
    [
        (RUSSIAN, "utf-8", "koi8-r", "it is UTF-8"),
        ("Привет", "utf-8", "cp1251", "it is UTF-8"),
        (FRENCH, "utf-8", "iso8859-1", "it is UTF-8"),
        (CHINESE, "utf-8", "iso8859-1", "it is UTF-8"),
        (RUSSIAN, "cp1251", "iso8859-1", "have accents"),
        (CHINESE, "gb18030", "iso8859-1", "have accents"),
    ],
)
def test_garbage_is_told(text: str, written: str, read: str, part: str) -> None:
    """The usual mistakes between the encodings of three scripts."""
    assert part in (misreading(read_as(text, written, read), read) or "")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN.upper(), "cp1251"),
        ("ВСЁ ТЁМНОЕ, МЁД и ЁЖ №5 §3", "cp1251"),
        ("Компания «iPhone» и еЖ, еГЭ, кВт", "cp1251"),
        ("МОЩНОСТЬ НОВОЙ СТАНЦИИ 5 кВт, рН ВОДЫ 7", "cp1251"),
        (FRENCH, "cp1252"),
        ("ÉÈÀÙ ÊÎÔÛ ÄËÏÖÜ ÇŒ", "cp1252"),
        ("Þórður á Álftanesi á hús við sjóinn.", "iso8859-1"),
        (CHINESE, "gb18030"),
        ("模拟模型", "gb18030"),
        (RUSSIAN, "utf-8"),
        ("plain", "cp1251"),
    ],
)
def test_texts_of_the_encoding_are_not(text: str, encoding: str) -> None:
    """Capitals, marks and names of any language stay; short lines say too little."""
    assert misreading(read_as(text, encoding, encoding), encoding) is None


def test_what_cannot_be_written_back_says_nothing() -> None:
    """A codec with several ways to write a letter may refuse what it has read."""
    assert misreading("\ud800ф", "cp1251") is None
