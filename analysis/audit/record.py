"""What a finished run says of itself, read back so that its questions can be asked once more.

io: reads the results that lie beside an output. `audited` calls it; `entry` uses `topic_digest`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.errors import ConfigurationError
from analysis.pipeline.dialect import cause
from analysis.pipeline.places import RESULTS
from analysis.pipeline.reading_facts import settings_of
from analysis.settings import SETTINGS, Settings

_DIGEST_CHARS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """How a run asked.

    Attributes:
        routes: In order.
        models: Route -> model that was asked for.
        endpoint: Host as runs name it; `embedded` for the local service.
        label_set: Name of the label set, or its file.
        definitions: Language of the definitions.
        language: Of the texts, or `auto`.
        prompt: Digest of the prompt, or empty where the results do not say it.
        topic_digest: See `topic_digest`; None where the results do not say it.
        title_column: Column of the titles that were sent, or empty.
        chunks_per_request: Largest pack.
        context: Texts before and after a request that were sent along.
        service_tier: As asked for, or None.
        input: The table that was labelled, as the user named it.
        examples: The model was told the examples of the labels.
        settings: Those by which the input was read.
    """

    routes: tuple[str, ...]
    models: Mapping[str, str]
    endpoint: str
    label_set: str
    definitions: str
    language: str
    prompt: str
    topic_digest: str | None
    title_column: str
    chunks_per_request: int
    context: int
    service_tier: str | None
    input: Path
    examples: bool = False
    settings: Settings = SETTINGS


def topic_digest(topic: str | None) -> str:
    """Return what tells two topics apart without naming them; empty without a topic."""
    if topic is None:
        return ""
    return hashlib.sha256(topic.encode("utf-8", errors="surrogatepass")).hexdigest()[:_DIGEST_CHARS]


def facts_of(output: Path) -> RunFacts:
    """Return how an output was made, from the results beside it.

    Raises:
        ConfigurationError: If there are none, or they are not those of this output.
    """
    own = output.with_name(f"{output.name}.{RESULTS}")
    for path in (own, output.with_name(RESULTS)):
        if path.exists():
            return _facts(_document(path), path, output)
    raise ConfigurationError(
        f"{own} is not there, and it says how {output} was made: routes, models, label set and "
        "packing. Keep it beside the output, or run the same command again, which writes it."
    )


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        why = cause(error) if isinstance(error, OSError) else "it is no JSON"
        raise ConfigurationError(
            f"Cannot read {path}: {why}. Run the same command again, which writes it anew."
        ) from error


def _facts(document: Any, path: Path, output: Path) -> RunFacts:
    try:
        record = document["record"]
        names = [Path(name).name for name in document["outputs"]]
        models = dict(entry.split("=", 1) for entry in record["models"].split(","))
        return RunFacts(
            routes=tuple(record["routes"].split(",")),
            models=models,
            endpoint=record["endpoint"],
            label_set=record.get("label_set_file") or record["label_set"].rpartition(" ")[0],
            definitions=record.get("definitions", "en").partition(" ")[0],
            language=record["language"],
            prompt=record.get("prompt", ""),
            topic_digest=record.get("topic_digest"),
            title_column=record.get("title_column", ""),
            chunks_per_request=int(record["chunks_per_request"].split(" ", 1)[0]),
            context=int(record.get("context", 0)),
            service_tier=record["service_tier"] or None,
            input=Path(document["inputs"][names.index(output.name)]),
            examples="examples" in record,
            settings=settings_of(record),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ConfigurationError(
            f"{path} does not tell how {output} was made. Take the output as semfn run wrote it, "
            "under its own name."
        ) from error
