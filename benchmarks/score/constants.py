"""What is simulated: sizes, latencies, limits, faults, regimes and seeds. Tuning never touches it.

Pure. A change here moves every figure, so it is reported together with the figures before and
after. Sizes are in tokens, times in seconds, chances per request unless a name says otherwise.

Source of sizes, latencies, faults and windows: pacing notes, section 8, which invented them; no
real service was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

CHANGES = (
    "2026-11-21: the regimes plain and plain-faults were added, and those on a shortened clock for "
    "runs over real sockets, where requests share connections. The five of before and their seeds "
    "are as they were.",
)
"""What was changed here since the first result."""

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
        streams: The first event of an answer can be told before its end.
        per_connection: So many requests share a connection and are lost together when it breaks;
            one: each has its own.
    """

    name: str
    ttft_s: float
    in_flight: int
    tells_limits: bool
    silence_s: float | None
    streams: bool = False
    per_connection: int = 1


WAYS = (
    Way(
        name="responses-ws",
        ttft_s=0.35,
        in_flight=64,
        tells_limits=False,
        silence_s=15.0,
        streams=True,
    ),
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
class Sizes:
    """Tokens of a request, by the number of chunks in it."""

    instruction: float = INSTRUCTION
    chunk: float = CHUNK
    extra_per_chunk: float = EXTRA_PER_CHUNK
    output_per_chunk: float = OUTPUT_PER_CHUNK
    output_per_request: float = OUTPUT_PER_REQUEST
    output_cap_per_chunk: int = OUTPUT_CAP_PER_CHUNK
    output_cap_per_request: int = OUTPUT_CAP_PER_REQUEST

    def input_tokens(self, chunks: int) -> int:
        """Return the input of a request for so many chunks."""
        extra = self.extra_per_chunk if chunks > 1 else 0
        return round(self.instruction + chunks * (self.chunk + extra))

    def output_tokens(self, chunks: int) -> int:
        """Return the output of an answer about so many chunks."""
        return round(self.output_per_request + self.output_per_chunk * chunks)

    def used_tokens(self, chunks: int) -> int:
        """Return what an answered request is billed, input and output."""
        return self.input_tokens(chunks) + self.output_tokens(chunks)

    def reserved_tokens(self, chunks: int) -> int:
        """Return what the service sets aside for a request: input and the cap of its output."""
        cap = self.output_cap_per_request + self.output_cap_per_chunk * chunks
        return self.input_tokens(chunks) + cap


SIZES = Sizes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """What is to be reached; a goal that a regime does not have is None.

    Attributes:
        ratio: Median of makespan / bound.
        ratio_ten: The same for designs with packs up to ten, where it differs.
        ratio_one: The same for designs that send every chunk alone, where it differs.
        limited: Worst number of 429s in a run.
        limited_share: Worst share of 429s among the requests of a run.
        limited_share_warm: The same where the limits are known from a run before.
        paid: Median of paid tokens / fewest tokens.
        makespan_s: Median of the time itself.
    """

    ratio: float | None = None
    ratio_ten: float | None = None
    ratio_one: float | None = None
    limited: int | None = None
    limited_share: float | None = None
    limited_share_warm: float | None = None
    paid: float | None = None
    makespan_s: float | None = None

    def ratio_for(self, largest_pack: int) -> float | None:
        """Return the goal of the ratio for designs with packs up to this size."""
        own = {10: self.ratio_ten, 1: self.ratio_one}.get(largest_pack)
        return self.ratio if own is None else own


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """One kind of run.

    Attributes:
        name: As the command takes it.
        title: For tables.
        chunks: Chunks of the job.
        rpm: Requests per minute.
        tpm: Tokens per minute.
        goals: Source: design section 5, and pacing notes, section 0.
        faults: What goes wrong all the time.
        outage: From, to: the first way is dead; it refuses connections or is silent.
        is_outage_silent: Which of the two; None: by seed.
        least_seeds: Fewer seeds than these say too little; a command that asks for fewer gets them
            nevertheless.
        sizes: Of requests and answers.
        ways: To the service, the preferred one first.
        windows_s: One of these hidden windows, by seed.
        fill: The minute's budgets are between these shares full at the start.
        tokens_per_s: Speed of the output.
        ttft_sigma: Of the logarithm of the time to the first token.
        tail_chance: Of a draw from its tail.
        connect_s: Until the first request of a way can be sent.
        arrival_jitter_s: A request reaches the service after up to so long.
        timeout_s: A request without an answer is given up after so long.
        characters: Length of the text of a chunk where texts are real, four a token.
    """

    name: str
    title: str
    chunks: int
    rpm: int
    tpm: int
    goals: Goals
    faults: Faults = Faults()
    outage: tuple[float, float] | None = None
    is_outage_silent: bool | None = None
    least_seeds: int = 1
    sizes: Sizes = SIZES
    ways: tuple[Way, ...] = WAYS
    windows_s: tuple[float, ...] = HIDDEN_WINDOWS_S
    fill: tuple[float, float] = FILL
    tokens_per_s: float = TOKENS_PER_S
    ttft_sigma: float = TTFT_SIGMA
    tail_chance: float = TAIL_CHANCE
    connect_s: float = CONNECT_S
    arrival_jitter_s: float = ARRIVAL_JITTER_S
    timeout_s: float = TIMEOUT_S
    characters: int = 4 * CHUNK


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
        goals=Goals(ratio=1.03, limited_share=0.013, limited_share_warm=0.004, paid=1.03),
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

BEST_PEER_S = 12.4
"""Time of the best other client for the job `plain-faults`. Source: design section 5."""

PLAIN_SIZES = Sizes(instruction=270, chunk=85)
PLAIN_WAYS = (
    Way(
        name="responses-ws",
        ttft_s=0.05,
        in_flight=64,
        tells_limits=False,
        silence_s=15.0,
        streams=True,
    ),
    Way(name="rest", ttft_s=0.05, in_flight=32, tells_limits=False, silence_s=None),
)
PLAIN = Regime(
    name="plain",
    title="1,500 chunks of 85 tokens, 50 ms, limits not told",
    chunks=1_500,
    rpm=3_000,
    tpm=250_000,
    goals=Goals(ratio_ten=1.5, ratio_one=1.03, limited=19),
    faults=Faults(hang=0.0, server_error=0.0, bad_chunk=0.0),
    sizes=PLAIN_SIZES,
    ways=PLAIN_WAYS,
    windows_s=(60.0,),
    fill=(1.0, 1.0),
    tokens_per_s=1e9,
    ttft_sigma=0.2,
    tail_chance=0.0,
    characters=4 * 85,
)
"""The job on which other clients were measured. Source: design section 5. Its service is the local
one with `--latency-ms 50`: full buckets, no hidden window, no tail, answers in one piece."""

PLAIN_FAULTS = replace(
    PLAIN,
    name="plain-faults",
    title="the same with 5 % 500s, 2 % drops, 1 % hangs, 1 % malformed",
    goals=Goals(makespan_s=BEST_PEER_S / 3, limited=19),
    faults=Faults(server_error=0.05, drop=0.02, hang=0.01, void=0.01, bad_chunk=0.0),
)

ALL_REGIMES = (*REGIMES, PLAIN, PLAIN_FAULTS)
"""Those of the score, and the jobs on which other clients were measured."""

HEDGED_SHARE = 0.05
"""Goal: most hedged and rescued tokens among those paid, in large runs. Source: pacing notes,
section 0; a job of ten chunks may send two requests twice."""

CUT_OFF = 40.0
CUT_OFF_LEAST_S = 300.0
"""A run is cut off after so many bounds, at least after so many seconds."""

# Over real sockets, on a shortened clock: a tenth of the time, a quarter of the latency

SHORT_WAYS = (
    Way(
        name="responses-ws",
        ttft_s=0.1,
        in_flight=64,
        tells_limits=False,
        silence_s=15.0,
        streams=True,
        per_connection=16,
    ),
    Way(name="rest", ttft_s=0.1, in_flight=32, tells_limits=True, silence_s=None),
)
SHORT_PLAIN_WAYS = (replace(PLAIN_WAYS[0], per_connection=16), *PLAIN_WAYS[1:])
SHORT = Regime(
    name="tpm",
    title="3,000 chunks, tokens scarce",
    chunks=3_000,
    rpm=5_000,
    tpm=2_800_000,
    goals=Goals(),
    faults=Faults(hang=0.0, server_error=0.0, bad_chunk=0.0),
    is_outage_silent=False,
    ways=SHORT_WAYS,
    windows_s=(60.0,),
    fill=(0.1, 0.1),
    tokens_per_s=500.0,
    connect_s=0.02,
    arrival_jitter_s=0.002,
    timeout_s=6.0,
)
"""A bucket that starts a tenth full leaves about eight seconds of the rate to wait for."""

SHORT_REGIMES = (
    replace(
        SHORT,
        name="small",
        title="10 chunks, latency as ever",
        chunks=10,
        tpm=2_000_000,
        ways=tuple(replace(way, ttft_s=0.35) for way in SHORT_WAYS),
        fill=(1.0, 1.0),
        tokens_per_s=TOKENS_PER_S,
        least_seeds=9,
    ),
    replace(
        SHORT,
        name="rpm",
        title="1,400 chunks, requests scarce",
        chunks=1_400,
        rpm=300,
        tpm=20_000_000,
    ),
    SHORT,
    replace(
        SHORT,
        name="outage",
        title="3,000 chunks, one way dead for 6 s",
        outage=(1.5, 7.5),
    ),
    replace(
        SHORT,
        name="faults",
        title="3,000 chunks, 5 % mixed faults",
        faults=Faults(server_error=0.02, drop=0.015, void=0.01, hang=0.005, bad_chunk=0.0),
        least_seeds=5,
    ),
    replace(PLAIN, ways=SHORT_PLAIN_WAYS, connect_s=0.02, arrival_jitter_s=0.002),
    replace(PLAIN_FAULTS, ways=SHORT_PLAIN_WAYS, connect_s=0.02, arrival_jitter_s=0.002),
)
"""Played over real sockets and on virtual time with the same numbers. Sizes are measured."""

SOCKET_GOAL = 1.05
"""Goal: median over real sockets / median on virtual time. Source: design section 5."""

PAIR_GOAL = 1.05
"""Goal: two processes with half of a job each / one with the whole. Source: as above."""
