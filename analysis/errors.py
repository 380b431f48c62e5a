"""The exceptions of the package, ordered by what the caller can do.

Pure. Everybody imports it; it imports only records.

    AnalysisError                 everything below
    ├── ConfigurationError        fix the call, the option or the input; nothing was sent
    │   └── InputError            fix the input file; says where
    ├── TransportError            try later; has `retry_after_s` and `ending`
    │   ├── RateLimited           the service asked to slow down; nothing was generated
    │   ├── DeadlinePassed        no answer within the time-out; may have been paid
    │   └── RouteAdapted          the route asks in another way from now on; it is not down
    ├── RequestRejected           do not retry; has `code` and `request_id`
    │   ├── AccountClosed         key, quota or billing; closes every route of the account
    │   ├── RouteClosed           this route cannot work here (model, dialect, address)
    │   ├── RequestTooLarge       it exceeds a whole minute's limit; a smaller one may go
    │   └── ModelRefused          the model or its filter declined to answer
    ├── AnswerDefect              the reply cannot be used; names the defect
    ├── LedgerError               disk, lock or a ledger that is not ours
    └── LocalProtocolError        our own bug: the package misused one of its parts

`PartialResultWarning` is no error: what is paid for is there, and the rest can be had.
"""

from __future__ import annotations

from analysis.records import Ending, Usage


class AnalysisError(Exception):
    """Base of all errors of the package.

    Attributes:
        usage: Tokens billed for a reply that cannot be used; zero where nothing was billed.
    """

    usage: Usage = Usage()


class PartialResultWarning(UserWarning):
    """A data frame comes back without all of its labels; the message says why and how to go on."""


class ConfigurationError(AnalysisError):
    """A setting, option or argument cannot be used; nothing was sent."""


class InputError(ConfigurationError):
    """An input table cannot be used; the message says what, where and how to cure it."""


class TransportError(AnalysisError):
    """A request did not get through; it may be tried again later.

    Attributes:
        ending: How the request ended, which decides whether it may have been paid for.
        code: Error code of the service, close code of the socket, or exception name.
        retry_after_s: Seconds the service asked to wait, or None.
        request_id: The service's own id of the request, or None.
        loss: What was lost with it, the same object for all requests of one socket; None where the
            request was lost alone.
    """

    loss: object | None = None

    def __init__(
        self,
        message: str,
        *,
        ending: Ending = Ending.UNKNOWN,
        code: str = "",
        retry_after_s: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.ending = ending
        self.code = code
        self.retry_after_s = retry_after_s
        self.request_id = request_id

    @property
    def was_sent(self) -> bool:
        """Whether the request may have reached the service."""
        return self.ending is not Ending.UNSENT


AT_ONCE = "requests at once"
"""`RateLimited.dimension` where too many requests are on their way at the same time."""


class RateLimited(TransportError):
    """The service refused the request because of a rate limit; nothing was generated.

    Attributes:
        dimension: What is limited, such as `requests per min` or `tokens per day`; empty if the
            service did not say.
        limit: The limit, in units of the dimension, or None if not stated.
        used: What was used of it, or None.
        requested: What the request asked for, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "rate_limit_exceeded",
        retry_after_s: float | None = None,
        request_id: str | None = None,
        dimension: str = "",
        limit: int | None = None,
        used: int | None = None,
        requested: int | None = None,
    ) -> None:
        super().__init__(
            message,
            ending=Ending.REFUSED,
            code=code,
            retry_after_s=retry_after_s,
            request_id=request_id,
        )
        self.dimension = dimension
        self.limit = limit
        self.used = used
        self.requested = requested


class DeadlinePassed(TransportError):
    """No complete answer arrived within the time-out; it may have been generated and paid."""


class RouteAdapted(TransportError):
    """The route found out how its server wants to be asked, and does so from now on.

    The request was asked in the old way. The route is in order, so this counts against no breaker.
    """


class RequestRejected(AnalysisError):
    """The service refused the request for good; the same request never succeeds.

    Attributes:
        code: Error code of the service.
        request_id: The service's own id of the request, or None.
    """

    def __init__(self, message: str, *, code: str = "", request_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class AccountClosed(RequestRejected):
    """The key was refused, or quota or money is gone: no route of this account can work."""


class RouteClosed(RequestRejected):
    """The route cannot work at this endpoint (unknown model, other dialect, wrong address)."""


class RequestTooLarge(RequestRejected):
    """The request exceeds a whole minute's limit, so no wait would help; nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="request_too_large")


class ModelRefused(RequestRejected):
    """The model or a content filter declined to answer; nothing is wrong with the route."""


class AnswerDefect(AnalysisError):
    """A reply arrived and cannot be used.

    Attributes:
        defect: Short name of the defect, such as `not_json` or `foreign_id`.
    """

    def __init__(self, message: str, *, defect: str) -> None:
        super().__init__(message)
        self.defect = defect


class LedgerError(AnalysisError):
    """The ledger or the output cannot be written, is locked, or belongs to another program."""


class LocalProtocolError(AnalysisError):
    """A part of this package was misused by another part; please report it."""
