"""How long an answer takes: time to the first token, a heavy tail, and the pace of the rest.

Pure. `service` asks once per accepted request. One model holds for every route. From the moment at
which a request is complete (the last byte of an HTTP body, the frame `response.create`) to the last
frame of its answer (the HTTP response, `response.done`) it takes

    first_s + output_tokens * ms_per_token / 1000

where `first_s` is drawn once per request from a log-normal distribution with the median
`latency_ms` and the sigma `latency_sigma`. A share `tail_share` of the requests is slow: their
`first_s` is multiplied by `tail_factor` times a number from a Pareto distribution with the exponent
`tail_alpha` and the smallest value 1. The faults `delay` and `shuffle` add to `first_s`. HTTP
routes that do not stream answer as a whole at the end. A Realtime response is created at once; its
item begins after `first_s` and its deltas are spread evenly over the generation time that follows,
the last one leaving with `response.done`. With `ms_per_token` 0 there is no generation time, and
all of that leaves in one piece. `rate_limits.updated` comes later and is not part of the answer. A
refusal leaves at once.
"""

from __future__ import annotations

import math
from random import Random

from analysis.errors import ConfigurationError
from analysis.simulator.faults import Draw
from analysis.simulator.profile import Profile


class Latency:
    """Draws the times of one service; the same seed gives the same sequence.

    Args:
        latency_ms: Median of the time to the first token; 0 answers at once.
        ms_per_token: Milliseconds per token of the answer on top of that.
        profile: Sigma, tail, and what the faults add.
        seed: Seed; the tail has a sequence of its own, so that it does not move the rest.

    Raises:
        ConfigurationError: If a time is below 0.
    """

    def __init__(
        self, *, latency_ms: float, ms_per_token: float, profile: Profile, seed: int
    ) -> None:
        if min(latency_ms, ms_per_token) < 0:
            raise ConfigurationError(
                f"Latency {latency_ms} ms and {ms_per_token} ms per token: at least 0 is needed."
            )
        self._median_s = latency_ms / 1_000
        self._token_s = ms_per_token / 1_000
        self._profile = profile
        self._random = Random(f"{seed}-latency")
        self._tails = Random(f"{seed}-tail")

    def __repr__(self) -> str:
        return f"latency {self._median_s} s"

    def first_s(self, draw: Draw) -> float:
        """Return the time to the first token of the next request, which meets this draw."""
        profile, first_s = self._profile, self._median_s
        if first_s and profile.latency_sigma:
            first_s *= math.exp(self._random.gauss(0.0, profile.latency_sigma))
        if profile.tail_share and self._tails.random() < profile.tail_share:
            first_s *= profile.tail_factor * self._tails.paretovariate(profile.tail_alpha)
        if draw.is_delayed:
            first_s += first_s * profile.delay_factor + profile.delay_s
        return first_s + draw.shuffle_share * profile.shuffle_window_s

    def generation_s(self, output_tokens: int) -> float:
        """Return the time in which an answer of so many tokens is written."""
        return output_tokens * self._token_s
