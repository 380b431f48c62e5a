"""A request on its way, as the pacer and its parts know it.

Pure. The pacer makes one for each request.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Call:
    """A request on its way, as the pacer knows it.

    Attributes:
        sent_at: When it was drawn, monotonic seconds.
        tokens: Drawn for it.
        requests_drawn: Everything drawn of requests up to and with it.
        tokens_drawn: Everything drawn of tokens up to and with it.
        is_heard: The service has stated limits with it.
        is_asked: It goes over a way that states limits.
    """

    sent_at: float
    tokens: int
    requests_drawn: float
    tokens_drawn: float
    is_heard: bool = False
    is_asked: bool = False
