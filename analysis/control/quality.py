"""Lower how many chunks go into one request when packed answers go wrong, and only then.

Pure. dispatch tells `PackingQuality` how the answers to packs of a job were; `jobs` cuts smaller
packs after a step.

Some answers are bad at any size of packs, so two things are asked before a step, since there is no
way back:

    is it proven?    the likelihood ratio of a failing share against a tolerated one has reached
                     a bound that grows with the answers of the run
    does it pay?     asking again took more than the smaller packs will take at best

The ratio begins anew wherever it falls to 1, so that a model which begins to fail late is seen,
too. Begun at answer j it has to reach j * (j + 1) / quality_chance. Under any share that is
tolerated a ratio reaches a bound B with a probability of at most 1 / B (Ville's inequality), so
over all j the chance of a wrong step stays below quality_chance, however long the run is.

Per request of n chunks with I tokens around them and c for each, where a share b of answers is bad
and lacks l chunks; the third try of a chunk is alone:

    asking again     b * (I + l * c) + b * b * l * (I + c)
    packs of m       I * (n / m - 1)                         as if none of them were bad
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.settings import SETTINGS, Settings

PACKS_REDUCED = "packs_reduced"
"""Name of the run event that tells a `Reduction`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """One step down: packs were `before` chunks, are `after`.

    Attributes:
        before: Most chunks in a request up to now.
        after: The same from now on.
        bad: Answers that lacked chunks, of those that led to the step.
        answers: All of those.
        asked_again: Tokens for what they lacked, as a share of those of all of them.
        more_tokens: What smaller packs take more, as a share of the same.
        requests: Requests for the same chunks, in times of what they were.
    """

    before: int
    after: int
    bad: int
    answers: int
    asked_again: float
    more_tokens: float
    requests: float

    @property
    def message(self) -> str:
        """The same in one sentence for people."""
        return (
            f"Packs reduced from {self.before} to {self.after} chunks: {self.bad} of "
            f"{self.answers} answers lacked chunks, and asking again takes about "
            f"{self.asked_again:.0%} more tokens; smaller packs take {self.more_tokens:.0%} more, "
            f"in {self.requests:.1f} times as many requests."
        )

    @property
    def fields(self) -> Mapping[str, float]:
        """The same as values, for a run event."""
        return {
            "before": self.before,
            "after": self.after,
            "bad": self.bad,
            "answers": self.answers,
            "asked_again": round(self.asked_again, 4),
            "more_tokens": round(self.more_tokens, 4),
            "requests": round(self.requests, 4),
        }


@dataclass(slots=True, kw_only=True)
class Evidence:
    """Answers since the likelihood ratio began anew.

    Attributes:
        begun: Which answer of the run was the first of them, from 1.
        log_ratio: Logarithm of the ratio.
        answers: Their number.
        bad: Those that lacked chunks.
        cut: Those of the bad ones that the output cap ended.
        tokens: What all of them took.
        asked: Chunks of all of them.
        once: Tokens that their requests would have taken without any chunk.
        rest_tokens: Asking once for what the bad ones lacked.
        lone_tokens: Asking for it chunk by chunk.
    """

    begun: int
    log_ratio: float = 0.0
    answers: int = 0
    bad: int = 0
    cut: int = 0
    tokens: int = 0
    asked: int = 0
    once: int = 0
    rest_tokens: float = 0.0
    lone_tokens: float = 0.0

    def asking_again(self) -> float:
        """Return the tokens of asking again, those of lone third tries among them."""
        return self.rest_tokens + self.bad / self.answers * self.lone_tokens


class PackingQuality:
    """Watches the answers to packs of one run; the size of packs only ever goes down.

    An answer is a sample, and not an item of it, since the items of a broken answer fail together.

    Attributes:
        most: Chunks in one request from now on.
        reductions: The steps down so far, in order.
    """

    def __init__(self, *, chunks_per_request: int, settings: Settings = SETTINGS) -> None:
        """Begin with packs of this size."""
        self.most = chunks_per_request
        self.reductions: list[Reduction] = []
        self._knobs = settings
        self._heard = 0
        self._largest = 0
        self._seen = Evidence(begun=1)
        failing, tolerated = settings.quality_failing, settings.quality_tolerance
        self._when_bad = math.log(failing / tolerated)
        self._when_good = math.log((1 - failing) / (1 - tolerated))

    def __repr__(self) -> str:
        return f"PackingQuality(most {self.most}, {self._seen.bad} of {self._seen.answers} bad)"

    def note(
        self, *, asked: int, bad: int, tokens: int, once: int, is_cut: bool = False
    ) -> Reduction | None:
        """Hear of the answer to a request; return the step down that it causes, if any.

        Args:
            asked: Chunks in the request; one alone says nothing about packs, and neither does a
                pack larger than they are now, nor one that half the size would leave as it is.
            bad: Those of them without a usable item.
            tokens: Of request and answer.
            once: Those of them that a request takes without any chunk.
            is_cut: The output cap ended the answer: the pack may have been too large for it.
        """
        if asked == 1 or asked > self.most or asked <= self._largest // 2:
            return None
        self._heard += 1
        if asked > self._largest:  # what was heard of smaller ones says nothing about these
            self._largest = asked
            self._seen = Evidence(begun=self._heard)
        self._count(asked, bad, tokens, min(once, tokens), is_cut)
        if self._seen.log_ratio <= 0:
            self._seen = Evidence(begun=self._heard + 1)
            return None
        return self._step() if bad and self._is_proven() else None

    def follow(self, size: int) -> None:
        """Hear that packs of another size are made, if answers have not spoken yet."""
        if not self.reductions:
            self.most = size

    def _count(self, asked: int, bad: int, tokens: int, once: int, is_cut: bool) -> None:
        seen = self._seen
        seen.answers += 1
        seen.asked += asked
        seen.once += once
        seen.tokens += tokens
        if not bad:
            seen.log_ratio += self._when_good
            return
        each = (tokens - once) / asked
        seen.log_ratio += self._when_bad
        seen.bad += 1
        seen.cut += is_cut
        seen.rest_tokens += once + bad * each
        seen.lone_tokens += bad * (once + each)

    def _is_proven(self) -> bool:
        """Tell whether so many bad answers cannot be chance, whatever their number so far."""
        seen, knobs = self._seen, self._knobs
        bound = math.log(seen.begun * (seen.begun + 1) / knobs.quality_chance)
        return seen.bad >= knobs.quality_answers and seen.log_ratio >= bound

    def _step(self) -> Reduction | None:
        """Return the step to smaller packs if it may pay."""
        seen, largest = self._seen, self._largest
        size = max(1, largest * 3 // 4 if 2 * seen.cut > seen.bad else largest // 2)
        requests = max(1.0, seen.asked / size / seen.answers)
        more = (requests - 1) * seen.once
        if seen.asking_again() <= more:
            return None
        step = Reduction(
            before=self.most,
            after=size,
            bad=seen.bad,
            answers=seen.answers,
            asked_again=seen.asking_again() / seen.tokens,
            more_tokens=more / seen.tokens,
            requests=requests,
        )
        self.reductions.append(step)
        self.most, self._largest = size, 0
        self._seen = Evidence(begun=self._heard + 1)
        return step
