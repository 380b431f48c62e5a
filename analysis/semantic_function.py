"""The analyzer over REST: HTTPS, Responses API, strict JSON schema.

io. For pipelines and notebooks; works wherever HTTPS does.
"""

from __future__ import annotations

from analysis.arguments import ANALYZER_KINDS
from analysis.connections import confidence_notices
from analysis.endpoint import Endpoint
from analysis.kinds import checked
from analysis.labelling import RoutedAnalyzer
from analysis.labels.label_set import LabelSet
from analysis.settings import DEFAULT_LABEL_SET, SETTINGS, Settings
from analysis.telemetry import Sink


class SemanticRestAnalyzer(RoutedAnalyzer):
    """Labels chunks over the Responses API.

    Args:
        api_key: By default the variable OPENAI_API_KEY.
        base_url: By default the variable OPENAI_BASE_URL, else OpenAI's address.
        model: By default `gpt-6-luna`.
        topic: What the text is about; a call's or a chunk's own topic beats it.
        label_set: Name of a label set, or a `LabelSet`.
        language: Of the texts: `auto`, `en`, `ru`, `fr` or `zh`.
        timeout_s: Seconds for one request; by default 60, with the service tier `flex` 900.
        max_concurrent: Requests at once; by default 32.
        on_event: Told about what happens on the way (`telemetry.Event`).
        seed: For reproducible ids and jitter; by default drawn from the system.
        settings: Knobs.
        endpoint: Address, key and whatever else `Endpoint.find` takes; then `api_key` and
            `base_url` stay out.
        service_tier: `auto`, `default`, `flex`, `priority` and others of the service; by default
            the account's own setting.
        context: So many texts before and after a request's chunks are shown with them, and not
            labelled, 0 to 10. They are neighbours in the list, of the same `document`; chunks
            without one that follow each other count as one document.
        logprobs: Ask for the log probability of each token, so that labels have a confidence where
            model and server state it; elsewhere it stays None.
        examples: Tell the model the examples of the labels, too; a longer prompt, which services
            cache from 1,024 tokens on. What it does to the labels is unmeasured.

    Raises:
        ConfigurationError: If an argument cannot be used; nothing was sent.
    """

    @checked(ANALYZER_KINDS)
    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        model: str | None = None,
        topic: str | None = None,
        label_set: str | LabelSet = DEFAULT_LABEL_SET,
        language: str = "auto",
        timeout_s: float | None = None,
        max_concurrent: int | None = None,
        on_event: Sink | None = None,
        seed: int | None = None,
        settings: Settings = SETTINGS,
        endpoint: Endpoint | None = None,
        service_tier: str | None = None,
        context: int = 0,
        logprobs: bool = False,
        examples: bool = False,
    ) -> None:
        super().__init__(
            routes=("rest",),
            models={"rest": model} if model else {},
            endpoint=endpoint or Endpoint.find(api_key=api_key, base_url=base_url),
            topic=topic,
            label_set=label_set,
            language=language,
            timeout_s=timeout_s,
            max_concurrent=max_concurrent,
            on_event=on_event,
            seed=seed,
            settings=settings,
            service_tier=service_tier,
            context=context,
            logprobs=logprobs,
            examples=examples,
        )
        if logprobs:
            for words in confidence_notices(self.models, self._endpoint):
                self._tell("no_confidence", words, {})
