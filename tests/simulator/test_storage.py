"""Behaviour of what the account keeps."""

from __future__ import annotations

from analysis.simulator.storage import SECRETS_KEPT, Storage


def test_ephemeral_keys_end() -> None:
    """A key is good before its end; an unknown one never is."""
    storage = Storage()
    storage.add_secret("a", 10.0)
    assert [True, False, False] == [
        storage.has_secret("a", 9.9),
        storage.has_secret("a", 10.0),
        storage.has_secret("b", 0.0),
    ]


def test_number_of_ephemeral_keys_is_bounded() -> None:
    """The oldest go first."""
    storage = Storage()
    for number in range(SECRETS_KEPT + 1):
        storage.add_secret(str(number), 10.0)
    assert [False, True] == [storage.has_secret(str(number), 0.0) for number in (0, 1)]
