"""Bootstrap intervals: documents or rows, seeds, coverage, and the figures they belong to."""

from __future__ import annotations

from random import Random

import pytest

from analysis.evaluation.audit import wilson
from analysis.evaluation.counts import count_pairs
from analysis.evaluation.grouped import grouped_share
from analysis.evaluation.intervals import Intervals, bootstrap
from analysis.evaluation.rows import Pair
from analysis.evaluation.scores import figures
from tests.evaluation.opinions import pairs_of

KEYS = ("a", "b", "c")


def drawn(pairs: list[Pair], **options: object) -> Intervals:
    """Return intervals of pairs, which must exist."""
    found = bootstrap(pairs, count_pairs(pairs, KEYS), **options)  # type: ignore[arg-type]
    assert found is not None
    return found


def some(rows: int, *, documents: int | None = None) -> list[Pair]:
    """Return rows of which some are wrong; in every other document all are."""
    rng = Random(7)
    first, second, names = [], [], []
    for row in range(rows):
        key = rng.choice(KEYS)
        document = None if documents is None else row % documents
        is_right = rng.random() < 0.7 if document is None else document % 2 == 0
        first.append(key)
        second.append(key if is_right else KEYS[KEYS.index(key) - 1])
        names.append(None if document is None else f"d{document}")
    return pairs_of(first, second, names)


def test_the_same_seed_gives_the_same_intervals() -> None:
    """Chance comes from the seed alone, and another seed gives other bounds."""
    pairs = some(60)
    assert drawn(pairs, seed=1) == drawn(pairs, seed=1)
    assert drawn(pairs, seed=1).bounds != drawn(pairs, seed=2).bounds


@pytest.mark.parametrize("documents", [None, 12])
def test_every_figure_lies_within_its_interval(documents: int | None) -> None:
    """All figures have bounds around them, those of sets where they are asked for."""
    pairs = some(200, documents=documents)
    found = drawn(pairs, with_sets=True)
    values = figures(count_pairs(pairs, KEYS), with_sets=True)
    assert list(values) == list(found.bounds)
    outside = [
        name for name, (low, high) in found.bounds.items() if not low <= values[name] <= high
    ]
    assert [] == outside


def test_the_interval_of_a_share_is_about_that_of_the_normal_law() -> None:
    """400 rows, 300 of them right: 0.75 give or take 1.96 times the root of 0.75 * 0.25 / 400."""
    pairs = pairs_of(["a", "b"] * 200, ["a", "b"] * 100 + ["a", "a"] * 100)
    low, high = drawn(pairs, resamples=4_000).bounds["accuracy"]
    assert (0.7076, 0.7924) == pytest.approx((low, high), abs=0.006)


def test_documents_are_drawn_as_wholes() -> None:
    """Where rows of a document share their fate, the interval is wider than that of rows."""
    pairs = some(200, documents=10)
    alone = [Pair(id=one.id, first=one.first, second=one.second) for one in pairs]
    whole, single = drawn(pairs), drawn(alone)
    assert (("document", 10), ("row", 200)) == (
        (whole.unit, whole.units),
        (single.unit, single.units),
    )
    wide, narrow = (high - low for low, high in (one.bounds["accuracy"] for one in (whole, single)))
    assert wide > 2 * narrow


def test_many_documents_are_drawn_in_several_batches() -> None:
    """Where not all resamples fit into memory at once, they are as good as those that do."""
    low, high = drawn(some(5_000, documents=5_000)).bounds["accuracy"]
    assert (0.4861, 0.5139) == pytest.approx((low, high), abs=0.003)


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_is_drawn_from_less_than_two(rows: int) -> None:
    """One row, or one document, says nothing of others."""
    pairs = pairs_of(["a"] * rows, ["a"] * rows)
    assert bootstrap(pairs, count_pairs(pairs, KEYS)) is None


def test_one_document_has_no_interval() -> None:
    """Many rows of a single document are one draw."""
    pairs = pairs_of(["a", "b"], ["a", "a"], ["d", "d"])
    assert bootstrap(pairs, count_pairs(pairs, KEYS)) is None


def test_no_resamples_mean_no_intervals() -> None:
    """Zero leaves them out."""
    pairs = some(20)
    assert bootstrap(pairs, count_pairs(pairs, KEYS), resamples=0) is None


def test_rows_without_a_document_are_drawn_one_by_one() -> None:
    """If some row does not name its document, documents cannot be drawn."""
    pairs = pairs_of(["a", "b", "a"], ["a", "b", "b"], ["x", "y", None])
    assert "row" == drawn(pairs).unit


def test_a_figure_that_is_never_defined_has_no_bounds() -> None:
    """Where all rows agree on one label, kappa and alpha have neither value nor interval."""
    found = drawn(pairs_of(["a"] * 5, ["a"] * 5))
    low, high = found.bounds["accuracy"]
    assert (wilson(5, 5).low, 1.0) == pytest.approx((low, high))
    assert {"accuracy": (low, high), "macro_f1": (1.0, 1.0)} == found.bounds


def test_shares_of_rows_have_wilsons_interval() -> None:
    """Accuracy, and with sets the share of rows whose sets meet; the others are resampled."""
    pairs = pairs_of(["a b", "a", "c", "b"] * 5, ["b", "a", "", "b"] * 5)
    found = drawn(pairs, with_sets=True)
    assert ("accuracy", "any_match") == found.wilson
    for name, count in (("accuracy", 10), ("any_match", 15)):
        expected = wilson(count, 20)
        assert (expected.low, expected.high) == pytest.approx(found.bounds[name])


@pytest.mark.parametrize("rate", [0.9, 1.0])
def test_the_interval_of_accuracy_holds_it_for_few_rows(rate: float) -> None:
    """Twenty rows: at least 94 of 100 intervals, where resamples hold it in 75."""
    rng, held = Random(4), 0
    for _ in range(300):
        right = ["a" if rng.random() < rate else "b" for _ in range(20)]
        low, high = drawn(pairs_of(["a"] * 20, right), resamples=1).bounds["accuracy"]
        held += low <= rate <= high
    assert held / 300 >= 0.94


def test_documents_widen_the_interval_of_accuracy() -> None:
    """Ten documents that are right or wrong as a whole are about ten rows."""
    pairs = some(200, documents=10)
    low, high = drawn(pairs).bounds["accuracy"]
    expected = grouped_share([(20, 20), (0, 20)] * 5)
    assert (expected.low, expected.high) == pytest.approx((low, high))


def test_many_distinct_sets_take_seconds_and_not_minutes() -> None:
    """Forty labels, thousands of distinct pairs: figures of resamples are those of one by one."""
    keys = [f"k{number}" for number in range(40)]
    rng = Random(0)
    first, second = ([" ".join(rng.sample(keys, 2)) for _ in range(2_000)] for _ in range(2))
    pairs = pairs_of(first, second)
    counts = count_pairs(pairs, keys)
    found = bootstrap(pairs, counts, with_sets=True, resamples=50)
    values = figures(counts, with_sets=True)
    assert found is not None
    assert all(low <= values[name] <= high for name, (low, high) in found.bounds.items())
