"""Chunks that share one history, their parts, and the verdicts on them."""

from __future__ import annotations

from dataclasses import replace

from analysis.control.parcels import cut, fail_items, label_items, singles, stop_items
from analysis.records import ErrorDetail, Failed, FailureKind, Labeled, Usage
from tests.control.parcels import flight_of, ids_of, parcel_of


def test_parts_of_a_parcel_share_its_history() -> None:
    """Order of the chunks, and every counter."""
    parcel = replace(parcel_of("abc", order=(1, 0), since=3.0), attempts=4, answers=1, last=None)
    one, rest = cut(parcel, 1)
    assert ["a", "bc"] == [ids_of(one.pack), ids_of(rest.pack)]
    assert ["a", "b", "c"] == [ids_of(part.pack) for part in singles(parcel)]
    assert parcel == replace(rest, pack=parcel.pack)
    assert [parcel] == cut(parcel, 3)


def test_moving_on_begins_a_clean_record() -> None:
    """Attempts and lone failures on other routes are kept."""
    parcel = replace(parcel_of("a", order=(2, 0)), attempts=3, failed_routes=1, way_failures=5)
    assert (2, True) == (parcel.route_index, parcel.has_failed_here)
    parcel.move_to(1)
    assert (0, False, 3, 1) == (
        parcel.route_index,
        parcel.has_failed_here,
        parcel.attempts,
        parcel.failed_routes,
    )


def test_only_labelled_chunks_get_a_verdict_with_their_share() -> None:
    """Each its own labels and an equal share of the usage."""
    parcel = replace(parcel_of("abc"), attempts=2)
    usage = Usage(input_tokens=31, output_tokens=6)
    found = [
        *label_items(
            flight_of(parcel),
            "rest",
            {0: ("noise",), 2: ("example",)},
            usage,
            "m-2026",
            0.5,
            {2: 0.75},
        ),
    ]
    expected = [
        Labeled(
            chunk_id=name,
            labels=(label,),
            confidence=confidence,
            route="rest",
            model="m-2026",
            attempts=2,
            pack=3,
            latency_s=0.5,
            usage=Usage(input_tokens=tokens, output_tokens=2),
        )
        for name, label, tokens, confidence in (
            ("a", "noise", 11, None),
            ("c", "example", 10, 0.75),
        )
    ]
    assert expected == [verdict for _, verdict in found]
    assert ["a", "c"] == [item.chunk.id for item, _ in found]


def test_a_part_of_a_parcel_keeps_its_history() -> None:
    """In the order of the pack; there is no parcel of nothing."""
    parcel = replace(parcel_of("abc"), attempts=2)
    part = parcel.part({2, 0})
    assert part is not None
    assert ("ac", 2) == (ids_of(part.pack), part.attempts)
    assert None is parcel.part(())


def test_chunks_that_nothing_helped_say_what_went_wrong_last() -> None:
    """On which route, after how many requests; without any request: no answer."""
    detail = ErrorDetail(kind=FailureKind.TIMEOUT, message="late")
    failed = replace(parcel_of("a"), attempts=5, last=detail)
    ((item, verdict),) = fail_items(failed, route="rest", model="m")
    expected = Failed(chunk_id="a", error=detail, route="rest", model="m", attempts=5, pack=1)
    assert ("a", expected) == (item.chunk.id, verdict)
    ((_, verdict),) = fail_items(parcel_of("a"), route="rest", model="m")
    assert isinstance(verdict, Failed)
    assert FailureKind.UNAVAILABLE == verdict.error.kind


def test_chunks_of_a_stopped_run_say_why() -> None:
    """They name no route: none is to blame."""
    ((_, verdict),) = stop_items(replace(parcel_of("a"), attempts=1), "by the user")
    detail = ErrorDetail(kind=FailureKind.STOPPED, message="by the user")
    assert Failed(chunk_id="a", error=detail, attempts=1) == verdict


def test_what_a_copy_has_settled_gets_no_second_verdict() -> None:
    """The request held two chunks; one of them has its verdict already."""
    parcel, pack = parcel_of("b"), parcel_of("ab").pack
    labels = {0: ("noise",), 1: ("example",)}
    found = [*label_items(flight_of(parcel, pack=pack), "rest", labels, Usage(), "m", 0.5, {})]
    assert [("b", 2)] == [(item.chunk.id, verdict.pack) for item, verdict in found]


def test_standing_at_another_route_keeps_the_record() -> None:
    """Routes that were left stay behind; the others keep their order."""
    parcel = replace(parcel_of("a", order=(3, 0, 1, 2)), stage=1, way_failures=2)
    parcel.stand_at(2)
    assert ((3, 2, 0, 1), 2, 2) == (parcel.order, parcel.route_index, parcel.way_failures)
    parcel.stand_at(2)
    assert (3, 2, 0, 1) == parcel.order
