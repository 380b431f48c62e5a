"""The options of a file run, checked; the command has the same ones.

Pure. `entry` takes them as keywords.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.arguments import LABEL_SET, check_context, check_count, check_pack_size
from analysis.connections import check_routes, confident_routes
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import ConfigurationError
from analysis.kinds import (
    CALL,
    FLAG,
    NONE,
    NUMBER,
    PATH,
    PATHS,
    TEXT,
    TEXT_BY_NAME,
    TEXTS,
    WHOLE,
    Kind,
    check_kind,
    instance_of,
)
from analysis.labels.label import check_language as check_names
from analysis.labels.label_set import LabelSet
from analysis.pipeline.report import allowed_failures
from analysis.pipeline.review import Review
from analysis.pipeline.sinks import KEEP, check_formulas
from analysis.settings import DEFAULT_LABEL_SET, LARGEST_PACK, SETTINGS, Settings

if TYPE_CHECKING:
    from analysis.hooks import Progress

DEFAULT_RUN_ROUTES = ("responses-ws", "rest")
"""Routes of a file run: one model, strict schema, the lowest price; a socket, HTTPS behind it."""


OPTION_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(
        (
            "id_column",
            "text_column",
            "document_column",
            "topic_column",
            "title_column",
            "encoding",
            "delimiter",
            "definitions",
            "label_names",
            "api_key",
            "base_url",
            "service_tier",
        ),
        TEXT | NONE,
    ),
    **dict.fromkeys(("ledger", "tape", "prices"), PATH | NONE),
    **dict.fromkeys(
        ("examples", "local", "fresh", "yes", "retry_failed", "logprobs", "overwrite"),
        FLAG,
    ),
    "label_set": LABEL_SET,
    "language": TEXT,
    "route": TEXT | TEXTS,
    "model": TEXT | TEXT_BY_NAME | NONE,
    "timeout_s": NUMBER | NONE,
    "settings": instance_of(Settings, "a Settings"),
    "endpoint": instance_of(Endpoint, "an Endpoint") | NONE,
    "seed": WHOLE,
    "reuse": PATH | PATHS,
    "csv_formulas": TEXT,
    "progress": FLAG | CALL | NONE,
}
"""Of which kind the options are; the others have checks of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a file run; the command has the same ones.

    Attributes:
        id_column: Column of the ids; without the column `id` the row number is the id.
        text_column: Column of the texts, by default `text`.
        document_column: Packs never cross documents; by default `document` where it exists.
        topic_column: By default `topic` where it exists.
        title_column: Column of the titles of what the chunks are part of; by default none is sent.
        encoding: By default UTF-8.
        delimiter: By default the comma, or what the header shows alone.
        label_set: Name of a label set, path of a `.toml` file, or a `LabelSet`.
        definitions: Language of the definitions that the model gets: `en`, `ru`, `fr` or `zh`; by
            default as the label set has them, which is English for names and files. What other
            languages change in the labels was not measured.
        label_names: The output has the labels' names in `en`, `ru`, `fr` or `zh` in place of their
            keys; the ledger keeps the keys.
        examples: Tell the model the examples of the labels, too; a longer prompt, which services
            cache from 1,024 tokens on. What it does to the labels is unmeasured.
        language: Of the texts: `auto`, `en`, `ru`, `fr` or `zh`.
        route: Route names, a sequence or separated by commas.
        model: A model for a single route, or a mapping from route to model.
        max_chunks_per_request: 1 to 20, by default 10; `auto` plans it once for the run, from the
            whole input and the limits in `settings`.
        context: Texts before and after the chunks of a request that are shown with them and not
            labelled, 0 to 10; of the same document, or without a document column of the file. By
            default 1 for inputs with a document column.
        max_concurrent: Requests at once on each route.
        local: Start the local service and label through it, without key and network.
        limit: Only the first so many rows.
        max_failed: Failed rows that leave the exit code 0: a number, or a share as `2%` or 0.02; by
            default none. A number that is given also ends the run as soon as more rows failed.
        ledger: By default `<output>.semfn.sqlite`.
        fresh: Ask everything again; earlier answers stay in the ledger.
        yes: Go on although the estimate is above 5 USD.
        api_key: By default the variable OPENAI_API_KEY.
        base_url: By default the variable OPENAI_BASE_URL, else OpenAI's address.
        timeout_s: Seconds for one request; by default 60, with the service tier `flex` 900.
        settings: Knobs.
        service_tier: `auto`, `default`, `flex`, `priority` and others; by default the account's.
        endpoint: An `Endpoint`; then `api_key` and `base_url` stay out.
        tape: A new file for the decisions of the run, without texts and ids, to play them again.
        sample: Only so many rows, drawn in whole requests.
        seed: Of the sample; another one draws others.
        reuse: Other ledgers; their labels serve for equal texts without a document.
        retry_failed: Ask only the rows that failed.
        budget: Most US dollars that the requests of this run may cost.
        stop_after: Seconds after which nothing more is sent.
        csv_formulas: `keep`, or `guard` for cells that a spreadsheet would run.
        prices: A price table (TOML) whose prices come before those of the package.
        min_confidence: Above 0 and up to 1; labels with a confidence below it have `uncertain` in
            the column `semfn_review`, which the output has with this option only.
        logprobs: Ask for the log probability of each token, so that labels have a confidence on
            `responses-ws` and `rest`, where model and server state it.
        progress: True writes on stderr how far the run is, on a terminal in one line, elsewhere
            every 10 s; a function is called with a `Progress` once before anything is sent, then
            with each verdict, and not always in the thread of the call.
        overwrite: Replace a file at the place of the output, whatever it holds, unless it is an
            input or the ledger. Without it only outputs of the same ledger are replaced.
    """

    id_column: str | None = None
    text_column: str | None = None
    document_column: str | None = None
    topic_column: str | None = None
    title_column: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    label_set: str | LabelSet = DEFAULT_LABEL_SET
    definitions: str | None = None
    label_names: str | None = None
    examples: bool = False
    language: str = "auto"
    route: str | Sequence[str] = DEFAULT_RUN_ROUTES
    model: str | Mapping[str, str] | None = None
    max_chunks_per_request: int | str | None = None
    context: int | None = None
    max_concurrent: int | None = None
    local: bool = False
    limit: int | None = None
    max_failed: float | str | None = None
    ledger: str | Path | None = None
    fresh: bool = False
    yes: bool = False
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout_s: float | None = None
    settings: Settings = SETTINGS
    service_tier: str | None = None
    endpoint: Endpoint | None = None
    tape: str | Path | None = None
    prices: str | Path | None = None
    sample: int | None = None
    seed: int = 0
    reuse: str | Path | Sequence[str | Path] = ()
    retry_failed: bool = False
    budget: float | None = None
    stop_after: float | None = None
    csv_formulas: str = KEEP
    min_confidence: float | None = None
    logprobs: bool = False
    progress: bool | Callable[[Progress], object] = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, kind in OPTION_KINDS.items():
            check_kind(name, getattr(self, name), kind)
        check_pack_size("max_chunks_per_request", self.max_chunks_per_request, most=LARGEST_PACK)
        if self.max_failed is not None:
            allowed_failures(self.max_failed, 0)
        check_formulas(self.csv_formulas)
        if self.context is not None:
            check_context(self.context)
        check_count("max_concurrent", self.max_concurrent)
        for language in (self.label_names, self.definitions):
            if language is not None:
                check_names(language)
        check_count("limit", self.limit)
        check_count("sample", self.sample)
        _check_amount("budget", self.budget, "US dollars")
        _check_amount("stop_after", self.stop_after, "seconds")
        _ = self.review
        if self.limit is not None and self.sample is not None:
            raise ConfigurationError(
                "limit and sample both choose rows. Pass --limit for the first ones or --sample "
                "for a drawn part, not both."
            )
        if self.fresh and self.retry_failed:
            raise ConfigurationError(
                "fresh asks everything again and retry_failed only what failed. Pass one of "
                "--fresh and --retry-failed."
            )

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes as a checked tuple."""
        return check_routes(self.route)

    @property
    def review(self) -> Review | None:
        """Which labels are marked; raises ConfigurationError if none ever could be."""
        if self.min_confidence is None:
            return None
        review = Review(bound=self.min_confidence)
        routes = self.routes
        known = self.endpoint.host if self.endpoint else None
        stating = confident_routes(
            routes, host=EMBEDDED if self.local else known, has_logprobs=self.logprobs
        )
        if not stating:
            who = "--local labels by rules" if self.local else f"the run has {', '.join(routes)}"
            raise ConfigurationError(
                f"--min-confidence can mark nothing: {who}, and only the route decisions of a "
                "service states a confidence, or its rest and responses-ws with --logprobs. Add "
                f"--route decisions{' and leave --local out' if self.local else ''}, or leave "
                "--min-confidence out."
            )
        silent = tuple(route for route in routes if route not in stating)
        return replace(review, silent_routes=silent)

    @property
    def reused_ledgers(self) -> tuple[Path, ...]:
        """The ledgers to reuse as a tuple."""
        named = [self.reuse] if isinstance(self.reuse, str | Path) else self.reuse
        return tuple(map(Path, named))


def _check_amount(name: str, value: float | None, unit: str) -> None:
    """Refuse what is no number above 0."""
    if value is not None and not (NUMBER.takes(value) and 0 < value < math.inf):
        raise ConfigurationError(f"{name} is {value!r}; it must be a number of {unit} above 0.")
