"""Which models stop when: a dated table, and the look-up of a name in it.

Pure, but for reading the package's own table. The probes of `check` call it and name the date.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What the table knows of a model.

    Attributes:
        name: As in the table; may begin or end with `*`.
        shutdown: First day without it, or None if no end is announced.
    """

    name: str
    shutdown: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTable:
    """Models by name, and the day on which the dates were read."""

    date: str
    models: Mapping[str, Model]

    def find(self, name: str) -> Model | None:
        """Return the entry of a model, or None if the table does not know it.

        The full name beats a name with `*`, and both beat the undated name of a dated one.
        """
        if name in self.models:
            return self.models[name]
        for pattern, model in self.models.items():
            if "*" in pattern and fnmatchcase(name, pattern):
                return model
        undated = [known for known in self.models if name.startswith(f"{known}-20")]
        return self.models[undated[0]] if undated else None


@cache
def model_table() -> ModelTable:
    """Return the table that ships with the package."""
    source = resources.files("analysis").joinpath("models.toml").read_text(encoding="utf-8")
    table = tomllib.loads(source)
    models = {name: Model(name=name, **entry) for name, entry in table["models"].items()}
    return ModelTable(date=table["date"], models=models)
