"""The plot is a PNG where matplotlib is, and one clear sentence where it is not."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from analysis.bench.plot import draw
from analysis.errors import ConfigurationError
from tests.bench.test_report import document


def test_without_matplotlib_the_extra_is_named(tmp_path: Path) -> None:
    """Nothing is written, and the message holds the command that helps."""

    def missing(name: str) -> ModuleType:
        raise ImportError(name)

    target = tmp_path / "plot.png"
    with pytest.raises(ConfigurationError, match=r"pip install semfn\[plot\]"):
        draw(document(), target, load=missing)
    assert not target.exists()


def test_the_plot_is_a_png(tmp_path: Path) -> None:
    """Needs the extra `plot`."""
    pytest.importorskip("matplotlib")
    target = tmp_path / "plot.png"
    draw(document(), target)
    assert b"\x89PNG" == target.read_bytes()[:4]
