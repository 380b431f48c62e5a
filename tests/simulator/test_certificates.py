"""The throw-away certificate: its file goes with it, and a missing package is named."""

from __future__ import annotations

from importlib.util import find_spec
from types import ModuleType

import pytest

from analysis.errors import ConfigurationError
from analysis.simulator.certificates import throw_away_certificate

needs_trustme = pytest.mark.skipif(
    find_spec("trustme") is None, reason="no TLS door without trustme: pip install semfn[tls]"
)


@needs_trustme
def test_the_file_goes_with_the_service() -> None:
    """Nothing is left in the temporary folder."""
    with throw_away_certificate() as certificate:
        assert certificate.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert not certificate.ca_file.parent.exists()


def test_without_the_package_the_extra_is_named() -> None:
    """Instead of an ImportError."""

    def load(name: str) -> ModuleType:
        raise ImportError(name)

    with (
        pytest.raises(ConfigurationError, match=r"pip install semfn\[tls\]"),
        throw_away_certificate(load=load),
    ):
        pytest.fail("A certificate was made.")
