"""The simulated service with the contents that it was sent, and how a run is led to it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from analysis.labels.label_set import LabelSet
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Job, Question, Service, digest_answerer
from tests.observed_service import UNPACED


class Read(Service):
    """A service with digest labels that keeps what each request held."""

    def __init__(self, **options: Any) -> None:
        self.contents: list[dict[str, Any]] = []
        super().__init__(digest_answerer(LabelSet.load("ten_functions").keys), **options)

    def start(self, question: Question, now: float) -> Job:
        """Answer a request and keep its content."""
        self.contents.append(json.loads(question.content))
        return super().start(question, now)

    @property
    def asked(self) -> list[str]:
        """The texts that were to be labelled, sorted."""
        return sorted(chunk["text"] for one in self.contents for chunk in one["chunks"])

    def around(self, text: str) -> dict[str, Any]:
        """Return what stood around the chunks of the request with a text."""
        for one in self.contents:
            if text in [chunk["text"] for chunk in one["chunks"]]:
                return {key: value for key, value in one.items() if key not in ("chunks", "topic")}
        raise AssertionError(f"{text!r} was not asked about")


@contextlib.contextmanager
def reading(**options: Any) -> Iterator[tuple[Read, dict[str, Any]]]:
    """Run the service; yields it with the options that lead a run to it."""
    service = Read(**options)
    with start_in_thread(service) as base_url:
        place = {"api_key": "k", "base_url": base_url, "route": "rest"}
        yield service, place | {"topic": "T", "yes": True, "settings": UNPACED}
