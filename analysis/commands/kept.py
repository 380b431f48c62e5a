"""What `semfn prove` and `semfn evaluate --audit` say of the ledger of their answers.

io: reads when they were answered. Heavy imports happen inside the functions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.audit.kept import Store


def store_of(options: Mapping[str, Any], default: Path, *, is_free: bool) -> Store | None:
    """Return where answers are kept; None where they cost nothing, and are asked anew.

    Args:
        options: With `ledger` and `fresh`.
        default: The ledger if none is named.
        is_free: The local service or rules answer.

    Raises:
        ConfigurationError: If a ledger is wanted all the same.
    """
    from analysis.audit.kept import Store
    from analysis.errors import ConfigurationError

    if not is_free:
        return Store(
            path=options["ledger"] or default,
            started_at=datetime.now(UTC).isoformat(),
            is_fresh=options["fresh"],
        )
    for name in ("ledger", "fresh"):
        if options[name]:
            raise ConfigurationError(
                f"--{name} is about answers that were paid for. The local service and the rules "
                "cost nothing and are asked anew each time: leave it out."
            )
    return None


def kept_lines(store: Store | None, sources: Collection[str], *, requests: int) -> list[str]:
    """Return what is told of answers that an earlier start left, before anything is sent.

    Args:
        store: Where they are, or None.
        sources: The arms of this command.
        requests: What is left to ask.
    """
    from analysis.commands.wording import printable

    if store is None:
        return []
    if store.goes_on_afresh(sources):
        return [
            "An earlier start with --fresh was stopped. This one goes on with it: what was "
            "answered since then is not asked again."
        ]
    at = None if store.is_fresh else store.last_answer_at(sources)
    if at is None:
        return []
    place = printable(str(store.path))
    if requests:
        return [f"Answers up to {at[:16]} are in {place} and are not asked again."]
    return [
        f"Nothing to ask: all answers are in {place}, the last of {at[:16]}. Pass --fresh to ask "
        "again."
    ]


def going_on_lines(store: Store | None, *, is_stopped: bool) -> list[str]:
    """Return how a command that was stopped goes on."""
    from analysis.commands.wording import printable

    if store is None or not is_stopped:
        return []
    place = printable(str(store.path))
    return [f"The answers are in {place}; the same command asks only what is missing."]
