"""The hybrid analyzer: an ordered list of routes; the scheduler decides.

io. Falls back request by request. A route with another model gets a chunk only after that chunk
failed on, or was refused by, the route before it; every verdict names its route and its model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from analysis.analyzer import ChunkLike
from analysis.arguments import ANALYZER_KINDS, check_count
from analysis.connections import check_routes, confidence_notices
from analysis.endpoint import Endpoint
from analysis.errors import ConfigurationError
from analysis.kinds import NONE, TEXT, TEXT_BY_NAME, checked
from analysis.labelling import RoutedAnalyzer
from analysis.labels.label_set import LabelSet
from analysis.prices import PriceTable
from analysis.records import Verdict
from analysis.settings import DEFAULT_LABEL_SET, DEFAULT_MODELS, SETTINGS, Settings
from analysis.telemetry import Sink

DEFAULT_ROUTES = ("realtime", "rest")


class HybridSemanticAnalyzer(RoutedAnalyzer):
    """Labels chunks over several routes, first one first.

    Arguments as in `SemanticRestAnalyzer`; further:

    Args:
        routes: Names of routes in the order of preference; by default realtime, then rest.
        model: A model's name for a single route, or a mapping from route to model.
        max_concurrent: Requests at once on each route; by default each route's own.
        dialect: Of the Realtime protocol: `auto`, `ga` or `beta`.
        tape: Takes the lines from which the decisions can be played again, without texts; for
            example `Recording(path).write`.
        prices: What tokens cost; by default the table of the package.
        context: See `SemanticRestAnalyzer`.
        logprobs: The same, on the routes `responses-ws` and `rest`; the first call names the others
            to `on_event`.
        examples: See `SemanticRestAnalyzer`.
    """

    @checked({**ANALYZER_KINDS, "model": TEXT | TEXT_BY_NAME | NONE})
    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        model: str | Mapping[str, str] | None = None,
        topic: str | None = None,
        label_set: str | LabelSet = DEFAULT_LABEL_SET,
        language: str = "auto",
        timeout_s: float | None = None,
        routes: str | Sequence[str] = DEFAULT_ROUTES,
        max_concurrent: int | None = None,
        on_event: Sink | None = None,
        seed: int | None = None,
        settings: Settings = SETTINGS,
        endpoint: Endpoint | None = None,
        dialect: str = "auto",
        service_tier: str | None = None,
        tape: Callable[[str], None] | None = None,
        prices: PriceTable | None = None,
        context: int = 0,
        logprobs: bool = False,
        examples: bool = False,
    ) -> None:
        checked = check_routes(routes)
        if endpoint is None:
            endpoint = (
                Endpoint.none()
                if checked == ("offline",)
                else Endpoint.find(api_key=api_key, base_url=base_url)
            )
        super().__init__(
            routes=checked,
            models=models_by_route(model, checked),
            endpoint=endpoint,
            topic=topic,
            label_set=label_set,
            language=language,
            timeout_s=timeout_s,
            max_concurrent=max_concurrent,
            on_event=on_event,
            seed=seed,
            settings=settings,
            dialect=dialect,
            service_tier=service_tier,
            tape=tape,
            prices=prices,
            context=context,
            logprobs=logprobs,
            examples=examples,
        )
        if logprobs:
            for words in confidence_notices(self.models, self._endpoint):
                self._tell("no_confidence", words, {})

    async def analyze_batch(
        self,
        chunks: Iterable[ChunkLike],
        topic: str | None = None,
        *,
        chunks_per_request: int | None = None,
        adaptive_batching: bool = True,
        max_concurrent: int | None = None,
    ) -> list[Verdict]:
        """Return one verdict per chunk, in input order.

        Args:
            chunks: `Chunk`s, mappings with `id` and `text`, or pairs (id, text).
            topic: Beats the topic of the constructor.
            chunks_per_request: Fixes the packing.
            adaptive_batching: Plan packing and first route once for the call, by the size of the
                job and what is known of the limits: up to 50 chunks go over the routes as ordered,
                one by one while no limit holds them back; more share requests, up to 20 in one,
                and go over REST before realtime. False: ten by ten, routes as ordered.
            max_concurrent: Requests at once on each route from now on.

        Raises: As `RoutedAnalyzer.analyze_batch`.
        """
        check_count("max_concurrent", max_concurrent)
        listed = self._listed(chunks)
        if chunks_per_request is None and not adaptive_batching:
            chunks_per_request = self._settings.chunks_per_request
        if max_concurrent is not None:
            self._ready().limit_in_flight(max_concurrent)
            self._planning.limit_in_flight(max_concurrent)
        packing = self._pack(chunks_per_request, listed, topic)
        order = self._order(len(listed)) if adaptive_batching else None
        return await self._collect(listed, topic=topic, packing=packing, order=order)

    def _first_route(self, job_size: int) -> str:
        is_large = job_size > self._settings.small_job
        is_slow = self.routes[0] == "realtime"
        return "rest" if is_large and is_slow and "rest" in self.routes else self.routes[0]

    def _order(self, job_size: int) -> tuple[int, ...] | None:
        """Return the routes for a job of this size as indexes, or None for the given order."""
        first = self._first_route(job_size)
        if first == self.routes[0]:
            return None
        place = self.routes.index(first)
        self._ready().tell(
            "notice",
            f"{job_size} chunks are no small job: {first} goes first, with the model "
            f"{self.models[first]}.",
            {"chunks": job_size},
        )
        return (place, *(other for other in range(len(self.routes)) if other != place))


def models_by_route(
    model: str | Mapping[str, str] | None, routes: tuple[str, ...]
) -> dict[str, str]:
    """Return route -> model as the caller wants it.

    Raises:
        ConfigurationError: If one name is given for routes that need different ones, or a route
            is named that is not used.
    """
    if model is None:
        return {}
    if isinstance(model, str):
        if len({DEFAULT_MODELS[route] for route in routes}) > 1:
            raise ConfigurationError(
                f"Model {model!r} cannot serve all of {', '.join(routes)}. Name it per route, "
                f"such as {routes[0]}={model}."
            )
        return dict.fromkeys(routes, model)
    for route in model:
        if route not in routes:
            raise ConfigurationError(
                f"A model is named for the route {route!r}, which is not used. Routes of this "
                f"run: {', '.join(routes)}."
            )
    return dict(model)
