"""How long an answer takes on a route, and how the last answers compare with that.

Pure. The scheduler has one per route and notes every answered request; the planner, the copies of
requests, the detector of silence and the limit of requests in flight ask.

A request with k chunks is predicted to take `base + slope * k`. Both are estimated in logarithms by
a Kalman filter with two states, so they stay positive and a service that slows down tenfold needs
one correction, not two. Their process noise is common: load moves both alike. Where all requests
have the same k, their sum is learned and the split stays what it was, at first the prior's: that is
the least wrong guess for another k. Decayed sums would forget the slope in the meantime.

One answer in a hundred is late by a multiple. So an error counts at most as `DOUBT`, until
`STREAK` answers in a row are further off to the same side: then it is the service, not the answer,
and what was known of both is doubted.

Source: pacing notes, sections 4 and 5; Kalman 1960; Huber 1964.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from math import ceil, exp, log

from analysis.settings import SETTINGS, Settings

ENOUGH = 20
"""Samples from which on quantiles say something."""

WINDOW = 300
"""Normalised latencies kept for quantiles."""

RECENT = 50
"""Samples that `inflation` looks at."""

MEMORY = 1_000
"""Answers over which the baseline of `inflation` is the lower quartile, roughly: some minutes."""

RAISE = 0.25
LOWER = 0.75
"""Parts of a step up or down that hold the baseline at the lower quartile."""

CLIP = 5.0
LOW = 1 / CLIP
"""A sample counts as at most so many times the prediction, and at least as this part of it."""

DOUBT = 0.5
STREAK = 3
"""Three answers in a row that are 1.65 times too late come by chance in one of 10^5 rows."""

NOISE = 0.09
"""Variance of the logarithm of a latency: 0.3 squared, between a calm and a loaded service."""

DRIFT = 0.001
"""Variance that load adds per answer: a new level is learned over ten answers."""

SHOCK = 0.03
"""Variance that a streak adds: whatever it is, it changes base and slope alike."""

SHAPE_DRIFT = 0.0001
SHAPE_DOUBT = 0.01
"""Variance that the slope alone gains per answer where less than that is left: 10 % either way, so
that requests of several sizes can teach it anew."""

BASE_DOUBT = 1.0
SLOPE_DOUBT = 0.25
"""Variances of the priors: right within a factor of 2.7 and of 1.6."""

FEW = 20
"""Values beyond a window that are kept until it is put in order."""

BLEND = 0.1
"""Weight of a new sample in the other averages."""


class _Window:
    """The last values; they are put in order when a quantile is asked for."""

    __slots__ = ("_last", "_news", "_ordered", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._last: deque[float] = deque(maxlen=size + FEW)
        self._news = 0  # values at the end that are not among the ordered ones
        self._ordered: list[float] = []

    def add(self, value: float) -> None:
        self._last.append(value)
        self._news += 1

    @property
    def ordered(self) -> list[float]:
        """The last values in order."""
        last, ordered, news = self._last, self._ordered, self._news
        if news == 1:
            insort(ordered, last[-1])
            if len(last) > self._size:
                del ordered[bisect_left(ordered, last.popleft())]
        elif news:
            while len(last) > self._size:
                last.popleft()
            self._ordered = ordered = sorted(last)
        self._news = 0
        return ordered

    def quantile(self, share: float) -> float | None:
        """Return the nearest rank; None before there are enough values."""
        ordered = self.ordered
        count = len(ordered)
        return None if count < ENOUGH else ordered[max(0, ceil(share * count) - 1)]


class Latency:
    """What one route's answers have shown; times in seconds, x without a unit.

    Attributes:
        samples: Answers so far.
        seconds_per_chunk: Mean of seconds by chunks over the last answers; None before a sample.
        first: Mean seconds to the first event over the last answers; None before a sample.
    """

    def __init__(self, *, settings: Settings = SETTINGS, usual_s: float | None = None) -> None:
        """Begin with a guess.

        Args:
            settings: Knobs, among them the guess if nothing is known.
            usual_s: Of an answer to one chunk in an earlier run; then the guess is scaled to it.
        """
        self.samples = 0
        guess_s = settings.latency_prior_s + settings.latency_prior_per_chunk_s
        scale = 1.0 if usual_s is None else usual_s / guess_s
        self._base = scale * settings.latency_prior_s
        self._slope = scale * settings.latency_prior_per_chunk_s
        self._covariance = (BASE_DOUBT, 0.0, SLOPE_DOUBT)
        self._far = 0  # answers in a row that are far off, below zero if too early
        self._ratios = _Window(WINDOW)
        self._levels = _Window(RECENT)
        self._usual_chunks = 1
        self._baseline: float | None = None  # logarithm
        self._inflated = settings.concurrency_inflated
        self._calm_until = ENOUGH - 1  # up to so many samples nothing can be inflated
        self.seconds_per_chunk: float | None = None
        self.first: float | None = None

    def __repr__(self) -> str:
        return f"Latency({self._base:.3f} s + {self._slope:.3f} s/chunk, {self.samples} samples)"

    def predict(self, chunks: int) -> float:
        """Return the usual seconds of a request with so many chunks: about the median."""
        return self._base + self._slope * chunks

    def note(self, chunks: int, seconds: float) -> float:
        """Learn from an answered request.

        Args:
            chunks: Chunks in the request, >= 1.
            seconds: From sending to the end of the answer, > 0.

        Returns:
            x: seconds by what was predicted before.
        """
        of_chunks = self._slope * chunks
        predicted = self._base + of_chunks
        if seconds < 1e-6:
            seconds = 1e-6
        x = seconds / predicted
        if not self.samples:
            self._usual_chunks = chunks
        self.samples += 1
        self._ratios.add(x)
        self._learn(of_chunks / predicted, log(x) if LOW < x < CLIP else _clipped(x))
        level = seconds
        if chunks != self._usual_chunks:
            level *= self.predict(self._usual_chunks) / self.predict(chunks)
        self._compare(level)
        per_chunk = seconds / chunks
        mean = self.seconds_per_chunk
        if mean is None or per_chunk > CLIP * mean:
            self.seconds_per_chunk = _blend(mean, per_chunk)
        else:
            self.seconds_per_chunk = mean + BLEND * (per_chunk - mean)
        return x

    def quantile(self, q: float) -> float | None:
        """Return this quantile of x over the last 300; None before 20 samples."""
        return self._ratios.quantile(q)

    @property
    def median(self) -> float | None:
        """Median of x over the last 300; None before 20 samples."""
        return self._ratios.quantile(0.5)

    @property
    def inflation(self) -> float | None:
        """Median of the last 50 latencies by the lower quartile of the run; None before 20 samples.

        Latencies are converted to one k. A healthy service shows about 1.2. Unlike x, it does not
        get used to a slow service, or only over thousands of answers.
        """
        level = self._levels.quantile(0.5)
        if level is None or self._baseline is None:
            return None
        return level / exp(self._baseline)

    def is_inflated(self) -> bool:
        """Tell whether `inflation` is at least `concurrency_inflated`; asked after each answer.

        Each answer adds at most one to the values above the threshold, which sinks by a small step
        at most. So most answers cannot change what was found, and nothing is put in order for them.
        """
        if self.samples <= self._calm_until or self._baseline is None:
            return False
        ordered, factor = self._levels.ordered, self._inflated
        count = len(ordered)
        steps = LOWER * (count / 2 + 1) / min(self.samples, MEMORY)
        least = factor * exp(self._baseline - steps) * (1 - 1e-9)
        above = count - bisect_left(ordered, least)
        if above <= count // 2:
            self._calm_until = self.samples + count // 2 - above
            return False
        return ordered[(count + 1) // 2 - 1] / exp(self._baseline) >= factor

    def note_first(self, seconds: float) -> None:
        """Hear how many seconds after sending the first event of an answer came."""
        self.first = _blend(self.first, seconds)

    def _learn(self, share: float, error: float) -> None:
        """Correct base and slope.

        Args:
            share: Of the slope in the prediction, from 0 to 1.
            error: Logarithm of x.
        """
        base, both, slope = self._covariance
        if -DOUBT <= error <= DOUBT:
            if self._far:
                self._far = 0
        else:
            side = 1 if error > 0 else -1
            self._far = self._far + side if self._far * side > 0 else side
            if abs(self._far) >= STREAK:
                base, both, slope = base + SHOCK, both + SHOCK, slope + SHOCK
            elif self.samples > ENOUGH:
                error = DOUBT * side
        rest = 1.0 - share
        of_base = rest * base + share * both
        of_slope = rest * both + share * slope
        variance = rest * of_base + share * of_slope + NOISE
        self._base *= exp(of_base / variance * error)
        self._slope *= exp(of_slope / variance * error)
        base += DRIFT - of_base * of_base / variance
        both += DRIFT - of_base * of_slope / variance
        slope += DRIFT - of_slope * of_slope / variance
        if base * slope - both * both < SHAPE_DOUBT * base:
            slope += SHAPE_DRIFT
        self._covariance = (base, both, slope)

    def _compare(self, level: float) -> None:
        """Note a latency converted to the usual k, and move the baseline by a small step.

        Source: Robbins and Monro 1951.
        """
        self._levels.add(level)
        if self._baseline is not None:
            step = 1.0 / (self.samples if self.samples < MEMORY else MEMORY)
            self._baseline += (RAISE if log(level) > self._baseline else -LOWER) * step
        elif self.samples == ENOUGH:
            self._baseline = log(self._levels.ordered[ENOUGH // 4])


def _clipped(x: float) -> float:
    """Return the logarithm of a sample far off."""
    return log(min(max(x, LOW), CLIP))


def _blend(old: float | None, new: float) -> float:
    """Return the moving average, in which a late sample counts as at most `CLIP` times the old."""
    if old is None:
        return new
    most = CLIP * old
    return old + BLEND * ((new if new < most else most) - old)
