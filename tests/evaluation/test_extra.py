"""The libraries of the extra, and what is said without them."""

from __future__ import annotations

from types import ModuleType

import pytest

from analysis.errors import ConfigurationError
from analysis.evaluation.extra import check_extra, load


def test_a_library_that_is_there_is_returned() -> None:
    """The module itself."""
    assert "sklearn.metrics" == load("sklearn.metrics").__name__


def missing(name: str) -> ModuleType:
    """Import nothing, as where the extra was not installed."""
    raise ModuleNotFoundError(name)


def test_a_missing_library_is_one_sentence_with_its_cure() -> None:
    """The command to install it is part of the message."""
    with pytest.raises(ConfigurationError, match=r"pip install 'semfn\[evaluation\]'"):
        load("scipy.sparse", missing)


def test_a_missing_extra_is_found_before_anything_is_read() -> None:
    """The check passes where the library is, and says the same sentence where it is not."""
    check_extra()
    with pytest.raises(ConfigurationError, match="scikit-learn, which is not installed"):
        check_extra(missing)
