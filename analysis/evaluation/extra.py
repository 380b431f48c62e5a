"""The libraries of the extra `evaluation`, imported when they are used.

Pure. The modules beside it call `load`; a missing library is one sentence with its cure.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from analysis.errors import ConfigurationError

MISSING = (
    "Scores need scikit-learn, which is not installed. Install it: pip install 'semfn[evaluation]'."
)


def check_extra(find: Callable[[str], ModuleType] = import_module) -> None:
    """Refuse an evaluation where the extra is missing.

    Raises:
        ConfigurationError: With the command that installs it.
    """
    load("sklearn.metrics", find)


def load(name: str, find: Callable[[str], ModuleType] = import_module) -> ModuleType:
    """Return a module of the extra.

    Args:
        name: Such as `sklearn.metrics`.
        find: Imports a module.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        return find(name)
    except ImportError as error:
        raise ConfigurationError(MISSING) from error
