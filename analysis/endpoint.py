"""Where requests go and with which key, checked before a byte is sent.

io: reads environment variables (`VARIABLES`). The analyzers call it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from analysis.errors import ConfigurationError
from analysis.kinds import FLAG, NONE, TEXT, Kind, checked
from analysis.settings import OPENAI_BASE_URL
from analysis.wire.places import API_KEY, AUTHS, BEARER, Place, is_loopback

VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "api_key": "OPENAI_API_KEY",
        "base_url": "OPENAI_BASE_URL",
        "organization": "OPENAI_ORG_ID",
        "project": "OPENAI_PROJECT_ID",
        "api_version": "OPENAI_API_VERSION",
        "auth": "SEMFN_AUTH",
        "safety_identifier": "SEMFN_SAFETY_IDENTIFIER",
        "is_key_in_subprotocol": "SEMFN_KEY_IN_SUBPROTOCOL",
    }
)
"""Argument of `Endpoint.find` -> the variable that is read where the argument is left out."""

NO_KEY = "no-key"
"""Sent as key to a service that was named by its address and for which none is set."""

EMBEDDED = "embedded"
"""Host of the local service in the same process, as ledgers name it."""

OFFLINE = "offline"
"""Host of an analyzer that sends nothing."""

AZURE_HOSTS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
"""Ends of the hosts that take the key in the header `api-key`. Source: Microsoft Learn."""

IDENTIFIER_CHARACTERS = 64
"""Longest safety identifier: the hex form of a SHA-256. Source: protocol notes on Decisions, 2.1;
other routes may take more."""

_DATED = "/openai"
_ENDPOINTS = re.compile(
    r"/(chat/completions|completions|responses|realtime|decisions|embeddings|models|batches|files)$"
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a subprotocol may be made of. Source: RFC 6455, 4.1 and RFC 9110, 5.6.2."""

_SWITCH = {"": False, "0": False, "no": False, "false": False, "1": True, "yes": True, "true": True}


FIND_KINDS: Mapping[str, Kind] = dict.fromkeys(
    (
        "api_key",
        "base_url",
        "host",
        "auth",
        "organization",
        "project",
        "safety_identifier",
        "api_version",
    ),
    TEXT | NONE,
) | {"is_key_in_subprotocol": FLAG | NONE}
"""Of which kind the arguments of `Endpoint.find` are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Address and key of a service. The key stands in no representation.

    Attributes:
        base_url: Such as `https://api.openai.com/v1`, without a slash at the end.
        api_key: Key or token.
        host: Host and port, as runs name it; `embedded` for the local service.
        auth: `bearer` (`Authorization: Bearer KEY`) or `api-key` (`api-key: KEY`).
        organization: Whose account is used, or None for the key's own.
        project: Whose limits and budget are used, or None for the key's own.
        safety_identifier: Hashed id of the end user, or None.
        api_version: Of Azure's dated form, or None.
        is_key_in_subprotocol: WebSockets carry the key as a subprotocol instead of a header.
    """

    base_url: str
    api_key: str = field(repr=False)
    host: str
    auth: str = BEARER
    organization: str | None = None
    project: str | None = None
    safety_identifier: str | None = None
    api_version: str | None = None
    is_key_in_subprotocol: bool = False

    @property
    def key_host(self) -> str:
        """Host as keys of rows have it: without the port, which may be any for one service."""
        return without_port(self.host)

    @property
    def account(self) -> str:
        """Equal for equal key and host; tells nothing about the key."""
        return hashlib.sha256(f"{self.host}\0{self.api_key}".encode()).hexdigest()[:12]

    @property
    def identity(self) -> str:
        """Whatever decides whose limits apply, with the key: not to be stored as it is."""
        return "\0".join((self.api_key, self.organization or "", self.project or ""))

    @property
    def has_limits(self) -> bool:
        """A service outside of this process applies limits that others may use up, too."""
        return self.host not in (EMBEDDED, OFFLINE)

    @property
    def place(self) -> Place:
        """What the transports ask for addresses and headers."""
        return Place(
            base_url=self.base_url,
            api_key=self.api_key,
            auth=self.auth,
            organization=self.organization,
            project=self.project,
            safety_identifier=self.safety_identifier,
            api_version=self.api_version,
            is_key_in_subprotocol=self.is_key_in_subprotocol,
        )

    @classmethod
    @checked(FIND_KINDS)
    def find(
        cls,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        host: str | None = None,
        auth: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        safety_identifier: str | None = None,
        api_version: str | None = None,
        is_key_in_subprotocol: bool | None = None,
    ) -> Endpoint:
        """Return the endpoint from arguments, else from `VARIABLES`, else OpenAI's.

        Args:
            api_key: Key or token.
            base_url: Address of the API; plain http:// only on this machine.
            host: How runs and ledgers name it; by default host and port of the address.
            auth: `bearer` or `api-key`; by default `api-key` for hosts of Azure.
            organization: As in `Endpoint`.
            project: As in `Endpoint`.
            safety_identifier: As in `Endpoint`; at most 64 characters.
            api_version: As in `Endpoint`; the address then ends with `/openai`.
            is_key_in_subprotocol: As in `Endpoint`.

        Raises:
            ConfigurationError: If there is neither key nor address, or one of the values cannot be
                used.
        """
        key = _given("api_key", api_key)
        address = _given("base_url", base_url)
        if key is None and address is None:
            raise ConfigurationError(
                "There is no API key and no base URL. Set OPENAI_API_KEY (or pass api_key), or "
                "name a service that needs none by OPENAI_BASE_URL (or base_url). To try the tool "
                "without any service, add --local (local=True in analyze_file and "
                "analyze_dataframe): labels come from rules (simulated)."
            )
        if key is not None and not _is_sendable(key):
            raise ConfigurationError(
                "The API key holds a space or a character that no key has. Copy it again."
            )
        address = (address or OPENAI_BASE_URL).rstrip("/")
        parts = _checked(address)
        return cls(
            base_url=address,
            api_key=key or NO_KEY,
            host=host or _shown(parts),
            auth=_auth(auth, parts),
            organization=_identifier("organization", organization),
            project=_identifier("project", project),
            safety_identifier=_identifier("safety_identifier", safety_identifier),
            api_version=_api_version(api_version, parts),
            is_key_in_subprotocol=_in_subprotocol(is_key_in_subprotocol, key or NO_KEY),
        )

    @classmethod
    def none(cls) -> Endpoint:
        """Return the endpoint of an analyzer that sends nothing."""
        return cls(base_url="", api_key="", host=OFFLINE)


def without_port(host: str) -> str:
    """Return a host as `Endpoint.host` names it without its port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _given(name: str, value: str | None) -> str | None:
    """Return an argument, else its variable, else None; empty ones count as left out."""
    return value or os.environ.get(VARIABLES[name]) or None


def _is_sendable(text: str) -> bool:
    """Tell whether a text can stand in a header as it is."""
    return text.isascii() and text.isprintable() and " " not in text


def _identifier(name: str, value: str | None) -> str | None:
    value = _given(name, value)
    if value is None:
        return None
    if not _is_sendable(value):
        raise ConfigurationError(
            f"The value of {name} (or {VARIABLES[name]}) holds a space or a character that no "
            "header takes. Copy it again."
        )
    if name == "safety_identifier" and len(value) > IDENTIFIER_CHARACTERS:
        raise ConfigurationError(
            f"The safety identifier has {len(value)} characters; at most {IDENTIFIER_CHARACTERS} "
            "are taken. Pass the SHA-256 of the user's id in hex."
        )
    return value


def _auth(value: str | None, parts: SplitResult) -> str:
    value = _given("auth", value) or (API_KEY if _is_azure(parts) else BEARER)
    if value not in AUTHS:
        raise ConfigurationError(
            f"auth (or SEMFN_AUTH) is {value!r}; it must be {' or '.join(AUTHS)}."
        )
    return value


def _api_version(value: str | None, parts: SplitResult) -> str | None:
    """Return the version of the dated form; the variable counts for such an address only.

    It is also read by other programs, which may be meant.
    """
    if not parts.path.endswith(_DATED):
        if value:
            raise ConfigurationError(
                "api_version is for Azure's dated form, whose base URL ends with /openai. Leave "
                "it out: the form /openai/v1 has none."
            )
        return None
    value = _identifier("api_version", value)
    if value is None and _is_azure(parts):
        raise ConfigurationError(
            f"The base URL {parts.geturl()!r} is Azure's dated form, which needs a version. Write "
            f"{parts.geturl()}/v1 for the form without one, or set OPENAI_API_VERSION."
        )
    return value


def _in_subprotocol(value: bool | None, key: str) -> bool:
    if value is None:
        said = os.environ.get(VARIABLES["is_key_in_subprotocol"], "")
        if said.lower() not in _SWITCH:
            raise ConfigurationError(
                f"SEMFN_KEY_IN_SUBPROTOCOL is {said!r}; it must be 1 or 0, or not be set."
            )
        value = _SWITCH[said.lower()]
    if value and not _TOKEN.fullmatch(key):
        raise ConfigurationError(
            "The API key holds a character that no subprotocol takes, so it can only be sent in a "
            "header. Leave SEMFN_KEY_IN_SUBPROTOCOL (is_key_in_subprotocol) out."
        )
    return value


def _checked(address: str) -> SplitResult:
    """Return the parts of an address that may be used; see `Endpoint.find`."""
    if any(mark in address for mark in "@?#"):  # first, since the messages below quote the address
        raise ConfigurationError(
            "The base URL may hold no user name, password, query or fragment; keys go into "
            "OPENAI_API_KEY, and the version of Azure's dated form into OPENAI_API_VERSION."
        )
    if not _is_sendable(address):
        raise ConfigurationError(
            f"The base URL {address!r} holds a space or a character that no address has."
        )
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"The base URL {address!r} cannot be read: {error}.") from error
    if parts.scheme not in ("http", "https") or not host:
        is_socket = parts.scheme in ("ws", "wss")
        raise ConfigurationError(
            f"The base URL {address!r} must begin with https:// (or http:// on this machine) and "
            "name a host, such as https://api.openai.com/v1."
            + (" The address of the WebSocket is made from it." if is_socket else "")
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(
            f"The base URL {address!r} would send key and texts unprotected. Use https://; plain "
            "http:// is taken for this machine only (127.0.0.1, localhost)."
        )
    _check_path(parts)
    return parts


def _check_path(parts: SplitResult) -> None:
    """Refuse the paths that are known to lead nowhere, with the one that is meant."""
    address, host, path = parts.geturl(), parts.hostname or "", parts.path
    endpoint = _ENDPOINTS.search(path)
    if endpoint is not None:
        raise ConfigurationError(
            f"The base URL {address!r} ends with an endpoint. Leave {endpoint[0]} out: "
            f"{address.removesuffix(endpoint[0])}."
        )
    if _is_azure(parts) and not path.endswith((_DATED, f"{_DATED}/v1")):
        raise ConfigurationError(
            f"The base URL {address!r} of an Azure resource must end with /openai/v1: "
            f"https://{parts.netloc}/openai/v1."
        )
    if f".{host}".endswith(".api.openai.com") and not path:
        raise ConfigurationError(f"The base URL {address!r} must end with /v1: {address}/v1.")


def _is_azure(parts: SplitResult) -> bool:
    return (parts.hostname or "").endswith(AZURE_HOSTS)


def _shown(parts: SplitResult) -> str:
    """Return host and port."""
    host, port = parts.hostname or "", parts.port
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"
