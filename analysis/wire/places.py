"""Where a service is reached and how it is shown who asks: addresses, headers, subprotocols.

Pure. The transports ask a `Place` for the address of each request; `endpoint` makes it. The key
stands in headers or in a subprotocol, never in an address, and in no representation.

A service is reached in one of two forms. The plain one has its paths below the base URL and the
model in the body (OpenAI, compatible servers, Azure's v1 form). The dated one, Azure's older form,
is chosen by `api_version`: the deployment stands in the path or the query.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

BEARER, API_KEY = "bearer", "api-key"
AUTHS = (BEARER, API_KEY)
"""Header that carries the key: `Authorization: Bearer KEY`, or `api-key: KEY` as Azure has it."""

KEY_SUBPROTOCOL = "openai-insecure-api-key."
"""Prefix of the subprotocol that carries the key where headers are stripped. Source: OpenAI guide
"Realtime with WebSockets", browser section."""

_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One service and the account that asks it.

    Attributes:
        base_url: HTTP address of the API without a slash at the end, such as
            `https://api.openai.com/v1`.
        api_key: Key or token.
        auth: `bearer` or `api-key`.
        organization: Sent as `OpenAI-Organization`, or None.
        project: Sent as `OpenAI-Project`, or None.
        safety_identifier: Hashed id of the end user, sent as `OpenAI-Safety-Identifier` with the
            handshake of a Realtime session; REST bodies have a field for it.
        api_version: Version of Azure's dated form, such as `2025-04-01-preview`; None is the plain
            form.
        is_key_in_subprotocol: WebSockets carry the key as a subprotocol instead of a header.
    """

    base_url: str
    api_key: str = field(repr=False)
    auth: str = BEARER
    organization: str | None = None
    project: str | None = None
    safety_identifier: str | None = None
    api_version: str | None = None
    is_key_in_subprotocol: bool = False

    @property
    def host(self) -> str:
        """Host name without port, or the address itself if it has none."""
        return urlsplit(self.base_url).hostname or self.base_url

    @property
    def is_loopback(self) -> bool:
        """The host is this machine: reached without proxy, and without TLS if wanted."""
        return is_loopback(self.host)

    @property
    def query(self) -> Mapping[str, str]:
        """Query of every HTTP address."""
        return {} if self.api_version is None else {"api-version": self.api_version}

    @property
    def key_header(self) -> Mapping[str, str]:
        """The header that carries the key."""
        if self.auth == API_KEY:
            return {"api-key": self.api_key}
        return {"Authorization": f"Bearer {self.api_key}"}

    @property
    def account_headers(self) -> Mapping[str, str]:
        """Headers that name organisation and project, as far as they are set."""
        named = {"OpenAI-Organization": self.organization, "OpenAI-Project": self.project}
        return {name: value for name, value in named.items() if value}

    def path(self, path: str, model: str) -> str:
        """Return the path of an HTTP request below the base URL.

        Args:
            path: Such as `/responses`.
            model: Model or deployment; only the dated form has it in the path, and only for chat.
        """
        if self.api_version is None or not path.startswith("/chat/"):
            return path
        return f"/deployments/{quote(model, safe='')}{path}"

    def socket_address(self, path: str, model: str | None) -> str:
        """Return the WebSocket address of a path such as `realtime`.

        Args:
            path: Below the base URL, without a slash in front.
            model: Named in the query; None where the model stands in the body.
        """
        query = dict(self.query)
        if model is not None:
            query["model" if self.api_version is None else "deployment"] = model
        scheme, _, rest = self.base_url.partition("://")
        address = f"{_SOCKET_SCHEMES.get(scheme, scheme)}://{rest}/{path}"
        return f"{address}?{urlencode(query, quote_via=quote, safe='')}" if query else address

    def socket_headers(self) -> Mapping[str, str]:
        """Return the headers of a WebSocket handshake; empty where they would be stripped."""
        if self.is_key_in_subprotocol:
            return {}
        headers = {**self.key_header, **self.account_headers}
        if self.safety_identifier:
            headers["OpenAI-Safety-Identifier"] = self.safety_identifier
        return headers

    def subprotocols(self) -> tuple[str, ...]:
        """Return what a WebSocket handshake offers; `realtime` first, then key and account."""
        if not self.is_key_in_subprotocol:
            return ()
        offered = ["realtime", f"{KEY_SUBPROTOCOL}{self.api_key}"]
        if self.organization:
            offered.append(f"openai-organization.{self.organization}")
        if self.project:
            offered.append(f"openai-project.{self.project}")
        return tuple(offered)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is that of this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
