"""The endpoint and the models that the options of `semfn check` name.

io. `check` and `live_check` call it. Heavy imports happen inside the functions, so that `--help`
stays fast.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from analysis.check import Finding
    from analysis.endpoint import Endpoint


@contextmanager
def endpoint_of(options: Mapping[str, Any], *, is_needed: bool = True) -> Iterator[Endpoint]:
    """Yield the endpoint that the options name; a local service runs as long.

    Raises:
        ConfigurationError: If the options exclude each other, or there is neither key nor address.
    """
    from analysis.endpoint import EMBEDDED, Endpoint
    from analysis.errors import ConfigurationError

    if options["local"] and options["base_url"]:
        raise ConfigurationError("--local and --base-url exclude each other. Leave one out.")
    if options["local"]:
        with _local_service() as address:
            yield Endpoint.find(api_key="local", base_url=address, host=EMBEDDED)
    else:
        yield Endpoint.find(base_url=options["base_url"]) if is_needed else Endpoint.none()


def _local_service() -> AbstractContextManager[str]:
    """Return the local service in a thread of its own, with labels from rules."""
    from analysis.labels.rules import label_texts
    from analysis.simulator.server import start_in_thread
    from analysis.simulator.service import Answerer, Service

    return start_in_thread(Service(Answerer(name="offline-rules", label=label_texts)))


def endpoint_finding(endpoint: Endpoint) -> Finding:
    """Return where requests go and whether a key is set, which is never shown."""
    from analysis.check import Finding
    from analysis.endpoint import EMBEDDED, NO_KEY

    key = "not set" if endpoint.api_key == NO_KEY else "set (OPENAI_API_KEY)"
    address = endpoint.base_url
    if endpoint.host == EMBEDDED:
        key, address = "not needed", f"local service at {address} (simulated)"
    return Finding(
        name="endpoint",
        ok=True,
        message=f"{address}, key {key}",
        facts={"base_url": endpoint.base_url, "key": key},
    )


def models_of(values: tuple[str, ...], routes: tuple[str, ...]) -> dict[str, str]:
    """Return route -> model: the defaults, and `ROUTE=NAME` on top."""
    from analysis.errors import ConfigurationError
    from analysis.settings import DEFAULT_MODELS

    asked = dict(DEFAULT_MODELS)
    for value in values:
        route, mark, name = value.partition("=")
        if not mark or not name or route not in routes:
            raise ConfigurationError(
                f"--model {value} cannot be used. Write ROUTE=NAME with one of the routes "
                f"{', '.join(routes)}."
            )
        asked[route] = name
    return asked
