"""A throw-away certificate for the TLS door of the simulated service.

io: writes one file into a temporary folder. `testing` calls it. Needs the extra `tls`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from analysis.errors import ConfigurationError

NAMES = ("127.0.0.1", "::1", "localhost")
"""What the certificate is good for: every address that the service can bind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a TLS door needs, and what its clients have to trust.

    Attributes:
        context: For the server; holds certificate and key.
        ca_file: PEM file of the authority that signed it; it goes with the certificate.
    """

    context: ssl.SSLContext
    ca_file: Path


@contextmanager
def throw_away_certificate(
    *, load: Callable[[str], ModuleType] = import_module
) -> Iterator[Certificate]:
    """Make an authority and a certificate for loopback; yield them until the context is left.

    The authority's key never leaves this process and signs nothing else.

    Args:
        load: Imports a module.

    Raises:
        ConfigurationError: If trustme is not installed.
    """
    try:
        trustme = load("trustme")
    except ImportError as error:
        raise ConfigurationError(
            "A TLS door needs the package trustme: pip install semfn[tls]"
        ) from error
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES).configure_cert(context)
    with TemporaryDirectory(prefix="semfn-tls-") as folder:
        ca_file = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        yield Certificate(context=context, ca_file=ca_file)
