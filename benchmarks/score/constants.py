"""What is simulated: sizes, latencies, limits, faults, regimes and seeds. Tuning never touches it.

Pure. A change here moves every figure, so it is reported together with the figures before and
after. Sizes are in tokens, times in seconds, chances per request unless a name says otherwise.

Source of sizes, latencies, faults and windows: pacing notes, section 8, which invented them; no
real service was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

TUNING_SEEDS = range(1_000)
"""Seeds that a scheduler may be tuned on; a run takes the first of them."""

UNSEEN_SEEDS = range(1_000, 2_000)
"""Seeds for the score: nothing is ever tuned on them; a run takes the first of them."""

# Sizes

INSTRUCTION = 600
CHUNK = 150
OUTPUT_PER_CHUNK = 12
OUTPUT_PER_REQUEST = 0
EXTRA_PER_CHUNK = 8
"""Further input of a chunk that shares its request with others: its id and marks."""
OUTPUT_CAP_PER_CHUNK = 32
OUTPUT_CAP_PER_REQUEST = 48
"""Both caps together are the most output that a request asks for, and so reserves."""
LARGEST_PACK = 20
"""Most chunks in a request, for the bound as for the contestants. Source: design section 4.2."""

# The way

CONNECT_S = 0.2
ARRIVAL_JITTER_S = 0.03
"""A request reaches the service after a uniformly drawn time up to this."""
REFUSAL_S = 0.05
"""A 429, a 500 or a refused connection comes back after so long."""
CONNECT_TIMEOUT_S = 10.0
"""A connection that a silent way does not open is given up after so long."""
TIMEOUT_S = 60.0
"""A request without an answer is given up after so long by those who have no time of their own."""

# The service

TOKENS_PER_S = 90.0
TTFT_SIGMA = 0.25
"""Of the logarithm of the time to the first token."""
TAIL_CHANCE = 0.01
TAIL_START = 3.0
"""A tail draw is at least so many medians."""
TAIL_ALPHA = 1.5
TAIL_CAP_S = 30.0
FLOOR_QUANTILE_Z = -1.645
"""The 5th percentile, as standard deviations of the logarithm: the latency floor of long runs."""
FILL = (0.3, 1.0)
"""The minute's budgets are between these shares full at the start; nobody is told."""
HIDDEN_WINDOWS_S = (1.0, 10.0, 60.0)
"""A minute's limit is applied over a window of this length; nobody is told which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to the service; all ways reach the same model and share its limits.

    Attributes:
        name: A route of the product.
        ttft_s: Median time to the first token.
        in_flight: Most requests at once.
        tells_limits: Answers carry the limits per minute and what is left of them.
        silence_s: A dead connection is noticed after so long; None if only a time-out notices.
    """

    name: str
    ttft_s: float
    in_flight: int
    tells_limits: bool
    silence_s: float | None


WAYS = (
    Way(name="responses-ws", ttft_s=0.35, in_flight=64, tells_limits=False, silence_s=15.0),
    Way(name="rest", ttft_s=0.45, in_flight=32, tells_limits=True, silence_s=None),
    Way(name="decisions", ttft_s=0.60, in_flight=32, tells_limits=True, silence_s=None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Chances of what goes wrong.

    Attributes:
        hang: No answer ever comes; the tokens are billed.
        server_error: A 500 comes at once; nothing is billed.
        drop: The connection breaks before the answer; the tokens are billed.
        void: An answer comes that cannot be used at all; the tokens are billed.
        bad_chunk: Per chunk: its part of the answer is missing.
    """

    hang: float = 0.001
    server_error: float = 0.003
    drop: float = 0.0
    void: float = 0.0
    bad_chunk: float = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """What is to be reached; a goal that a regime does not have is None.

    Attributes:
        ratio: Median of makespan / bound.
        limited: Worst number of 429s in a run.
        limited_share: Worst share of 429s among the requests of a run.
        paid: Median of paid tokens / fewest tokens.
    """

    ratio: float
    limited: int | None = None
    limited_share: float | None = None
    paid: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """One kind of run.

    Attributes:
        name: As the command takes it.
        title: For tables.
        chunks: Chunks of the job.
        rpm: Requests per minute.
        tpm: Tokens per minute.
        faults: What goes wrong all the time.
        outage: From, to: the first way is dead; by seed it refuses connections or is silent.
        goals: Source: design section 5, and pacing notes, section 0.
        least_seeds: Fewer seeds than these say too little; a command that asks for fewer gets them
            nevertheless.
    """

    name: str
    title: str
    chunks: int
    rpm: int
    tpm: int
    goals: Goals
    faults: Faults = Faults()
    outage: tuple[float, float] | None = None
    least_seeds: int = 1


REGIMES = (
    Regime(
        name="small",
        title="10 chunks",
        chunks=10,
        rpm=5_000,
        tpm=2_000_000,
        goals=Goals(ratio=1.15),
        least_seeds=200,
    ),
    Regime(
        name="rpm",
        title="1,000 chunks, requests scarce",
        chunks=1_000,
        rpm=30,
        tpm=1_000_000,
        goals=Goals(ratio=1.06, limited=4, paid=1.03),
    ),
    Regime(
        name="tpm",
        title="10,000 chunks, tokens scarce",
        chunks=10_000,
        rpm=5_000,
        tpm=1_000_000,
        goals=Goals(ratio=1.03, limited_share=0.013, paid=1.03),
    ),
    Regime(
        name="outage",
        title="4,000 chunks, one way dead for 60 s",
        chunks=4_000,
        rpm=5_000,
        tpm=500_000,
        goals=Goals(ratio=1.05, paid=1.03),
        outage=(20.0, 80.0),
    ),
    Regime(
        name="faults",
        title="4,000 chunks, 5 % mixed faults",
        chunks=4_000,
        rpm=5_000,
        tpm=500_000,
        goals=Goals(ratio=1.10),
        faults=Faults(server_error=0.02, drop=0.015, void=0.01, hang=0.005),
    ),
)

HEDGED_SHARE = 0.05
"""Goal: most hedged and rescued tokens among those paid."""

CUT_OFF = 40.0
CUT_OFF_LEAST_S = 300.0
"""A run is cut off after so many bounds, at least after so many seconds."""


def input_tokens(chunks: int) -> int:
    """Return the input of a request for so many chunks."""
    return INSTRUCTION + chunks * (CHUNK + (EXTRA_PER_CHUNK if chunks > 1 else 0))


def used_tokens(chunks: int) -> int:
    """Return what an answered request is billed, input and output."""
    return input_tokens(chunks) + OUTPUT_PER_REQUEST + OUTPUT_PER_CHUNK * chunks


def reserved_tokens(chunks: int) -> int:
    """Return what the service sets aside for a request: input and the cap of its output."""
    return input_tokens(chunks) + OUTPUT_CAP_PER_REQUEST + OUTPUT_CAP_PER_CHUNK * chunks
