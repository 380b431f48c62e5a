"""What of a title is sent with the chunks that it stands above.

Pure. The readers of tables and of lists of chunks call it, so that a chunk holds its title as it is
sent, and the key of a row in the ledger covers what was asked.
"""

from __future__ import annotations

from analysis.labels.neighbours import CUT
from analysis.records import is_blank
from analysis.settings import SETTINGS


def sent_title(given: str | None, most: int = SETTINGS.title_chars) -> str | None:
    """Return a title as it is sent: None if nothing of it can be seen, its start if it is long.

    Args:
        given: As the table or the caller has it.
        most: Characters that are sent; `Settings.title_chars`.
    """
    if not given or is_blank(given):
        return None
    return given if len(given) <= most else given[:most] + CUT
