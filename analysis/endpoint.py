"""Where requests go and with which key, checked before a byte is sent.

io: reads the environment variables OPENAI_API_KEY and OPENAI_BASE_URL. The analyzers call it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from analysis.errors import ConfigurationError
from analysis.settings import OPENAI_BASE_URL
from analysis.wire.places import Place

NO_KEY = "no-key"
"""Sent as key to a service that was named by its address and for which none is set."""


EMBEDDED = "embedded"
"""Host of the local service in the same process, as ledgers name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Address and key of a service. The key stands in no representation.

    Attributes:
        base_url: Such as `https://api.openai.com/v1`, without a slash at the end.
        api_key: Sent as bearer token.
        host: Host and port, as runs and ledgers name it; `embedded` for the local service.
    """

    base_url: str
    api_key: str = field(repr=False)
    host: str

    @property
    def account(self) -> str:
        """Equal for equal key and host; tells nothing about the key."""
        return hashlib.sha256(f"{self.host}\0{self.api_key}".encode()).hexdigest()[:12]

    @property
    def place(self) -> Place:
        """What the transports ask for addresses and headers."""
        return Place(base_url=self.base_url, api_key=self.api_key)

    @classmethod
    def find(
        cls,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        host: str | None = None,
    ) -> Endpoint:
        """Return the endpoint from arguments, else from the environment, else OpenAI's.

        Raises:
            ConfigurationError: If there is neither key nor address, or the address cannot be used.
        """
        key = api_key or os.environ.get("OPENAI_API_KEY") or None
        address = base_url or os.environ.get("OPENAI_BASE_URL") or None
        if key is None and address is None:
            raise ConfigurationError(
                "There is no API key and no base URL. Set OPENAI_API_KEY (or pass api_key), or "
                "name a service that needs none by OPENAI_BASE_URL (or base_url); without any "
                "service, `semfn run --local` shows the tool with labels from rules."
            )
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise ConfigurationError(
                "The API key holds a space or a character that no key has. Copy it again."
            )
        address = (address or OPENAI_BASE_URL).rstrip("/")
        return cls(base_url=address, api_key=key or NO_KEY, host=host or _checked_host(address))

    @classmethod
    def none(cls) -> Endpoint:
        """Return the endpoint of an analyzer that sends nothing."""
        return cls(base_url="", api_key="", host="offline")


def _checked_host(address: str) -> str:
    """Return host and port of an address that may be used; see `Endpoint.find`."""
    if any(mark in address for mark in "@?#"):  # first, since the messages below quote the address
        raise ConfigurationError(
            "The base URL may hold no user name, password, query or fragment; keys go into "
            "OPENAI_API_KEY."
        )
    if not (address.isascii() and address.isprintable() and " " not in address):
        raise ConfigurationError(
            f"The base URL {address!r} holds a space or a character that no address has."
        )
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"The base URL {address!r} cannot be read: {error}.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(
            f"The base URL {address!r} must begin with https:// (or http:// on this machine) and "
            "name a host, such as https://api.openai.com/v1."
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(
            f"The base URL {address!r} would send key and texts unprotected. Use https://; plain "
            "http:// is taken for this machine only (127.0.0.1, localhost)."
        )
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
