"""A key, a text and a topic that occur nowhere else, and how to find them in what a run leaves."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

KEY = "7f3a9c51e2d84b06c4a11e0d9b35f872"
"""In the form of Azure, which no prefix gives away."""

TEXT = "A canary of yellow feathers sang in shaft nine."
TOPIC = "Canaries that went underground in the year of 1911"
ID = "canary-id-1"
SECRETS = (KEY, TEXT, TOPIC)

RUSSIAN = "Канарейка пела в девятой шахте, и её никто не слышал"
CHINESE = "黄色的金丝雀在九号矿井里歌唱而没有人听见"
TEXTS = (TEXT, RUSSIAN, CHINESE)
"""In scripts with and without spaces; none of them holds a quote, which JSON and HTML would spell
in another way."""

SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "json": json.dumps,
    "html": lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    "capitals": str.upper,
    "cut": lambda text: text[: len(text) - 4],
}
"""How a service may repeat a text."""


def table(folder: Path, name: str = "birds.csv") -> Path:
    """Write a table with the text in it, one row of three."""
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [("id", "text"), (ID, TEXT), ("2", "For example, twelve birds."), ("3", TEXT[::-1])]
        csv.writer(file).writerows(rows)
    return path


def repeated_in(data: bytes | str) -> list[str]:
    """Return the parts of the texts, 16 or 8 characters, that stand in some bytes in a spelling."""
    plain = data if isinstance(data, str) else data.decode("utf-8", errors="replace")
    sizes = {TEXT: 16, RUSSIAN: 16, CHINESE: 8}
    parts = [text[at : at + size] for text, size in sizes.items() for at in (0, size)]
    return [
        part
        for part in parts
        if any(
            spell(part).strip('"') in plain for name, spell in SPELLINGS.items() if name != "cut"
        )
    ]


def found_in(data: bytes | str) -> list[str]:
    """Return the secrets that stand in some bytes, plain, reversed, in hex or in base64."""
    text = data if isinstance(data, str) else data.decode("latin-1")
    return [secret for secret in SECRETS if any(form in text for form in _forms(secret))]


def found_in_files(folder: Path, *, but: Iterable[Path]) -> dict[str, list[str]]:
    """Return the files below a folder that hold a secret, or have one in their name."""
    left_out = set(but)
    found = {
        str(path.relative_to(folder)): found_in(path.read_bytes()) + found_in(path.name)
        for path in folder.rglob("*")
        if path.is_file() and path not in left_out
    }
    return {name: secrets for name, secrets in found.items() if secrets}


def _forms(secret: str) -> list[str]:
    data = secret.encode()
    coded = []
    for shift in range(3):  # base64 looks different at each place in a group of three bytes
        whole = base64.b64encode(bytes(shift) + data).decode()
        coded.append(whole[4 * (shift > 0) : len(whole) // 4 * 4 - 4])
    return [secret, secret[::-1], data.hex(), *coded]
