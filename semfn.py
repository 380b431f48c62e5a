"""The names of the package `analysis` under the name of the command: `import semfn`."""

from analysis import *  # noqa: F403
from analysis import __all__ as __all__
from analysis import __version__ as __version__
