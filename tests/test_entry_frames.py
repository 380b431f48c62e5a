"""`analyze_dataframe` as its users call it."""

from __future__ import annotations

import asyncio
import signal
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import analyze_dataframe
from analysis.errors import AnalysisError, ConfigurationError, PartialResultWarning
from analysis.hooks import Hooks
from analysis.records import Verdict
from tests.commands.running import UNHURRIED, heard_by, paid_service

FRAME = pd.DataFrame(
    {
        "key": ["x", "y", "z"],
        "text": ["A chunk.", "", "For example, the hall."],
        "when": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
    },
    index=[30, 10, 20],
)


def test_frame_keeps_index_order_and_types(tmp_path: Path) -> None:
    """The given columns come back as they were, the verdict columns stand behind them."""
    before = FRAME.copy(deep=True)
    labeled = analyze_dataframe(
        FRAME, topic="Halls", local=True, id_column="key", ledger=tmp_path / "l.sqlite"
    )
    pd.testing.assert_frame_equal(before, FRAME)
    pd.testing.assert_frame_equal(before, labeled[list(before.columns)])
    assert ["topic_development", None, "example"] == [
        value if isinstance(value, str) else None for value in labeled["semantic_function"]
    ]
    assert "empty" == labeled["semfn_error"].loc[10]
    assert labeled.attrs["semfn"]["simulated"] is True


def test_same_frame_again_asks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger in the state folder is found again by the rows themselves."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    first = analyze_dataframe(FRAME, topic="Halls", local=True, id_column="key")
    second = analyze_dataframe(FRAME.copy(), topic="Halls", local=True, id_column="key")
    assert 2 == first.attrs["semfn"]["labeled_now"]
    assert (0, 2) == tuple(second.attrs["semfn"][name] for name in ("labeled_now", "reused"))


def test_works_inside_a_running_loop(tmp_path: Path) -> None:
    """A notebook's loop is no obstacle."""

    async def notebook() -> pd.DataFrame:
        return analyze_dataframe(
            FRAME, topic="Halls", route="offline", ledger=tmp_path / "l.sqlite"
        )

    assert 2 == asyncio.run(notebook())["semantic_function"].notna().sum()


@pytest.mark.parametrize("option", ["encoding", "nonsense"])
def test_unknown_options_are_refused(option: str) -> None:
    """An option that a frame cannot have is named, and is none of those that are listed."""
    options: dict[str, Any] = {option: "x"}
    with pytest.raises(ConfigurationError, match=option) as error:
        analyze_dataframe(FRAME, topic="Halls", local=True, **options)
    listed = str(error.value).partition("Options: ")[2].rstrip(".").split(", ")
    assert not {"encoding", "delimiter", "csv_formulas"} & set(listed)
    assert (option == "nonsense") == ("tape" in listed)


def test_an_interrupted_frame_has_what_is_paid_and_says_so(tmp_path: Path) -> None:
    """Ctrl-C raises nothing; the warning names the rows that are labelled and the way on."""
    seen: list[Verdict] = []

    def interrupt(verdict: Verdict) -> None:
        seen.append(verdict)
        if len(seen) == 1:
            signal.raise_signal(signal.SIGINT)

    frame = pd.DataFrame({"text": [f"Text {number}." for number in range(60)]})
    with paid_service(latency_ms=100) as service, heard_by(signal.default_int_handler):
        chosen: dict[str, Any] = {
            "topic": "Halls",
            "ledger": tmp_path / "l.sqlite",
            "max_chunks_per_request": 2,
            "api_key": "k",
            "base_url": service.base_url,
            "settings": UNHURRIED,
        }
        with pytest.warns(PartialResultWarning) as warned:
            part = analyze_dataframe(
                frame, max_concurrent=2, hooks=Hooks(on_verdict=interrupt), **chosen
            )
        labeled = part["semantic_function"].notna().sum()
        assert 0 < labeled == service.chunks < 60
        assert (
            f"{labeled} of 60 rows labelled (simulated); stopped: interrupted. Make the same call "
            "again to go on; what is paid for is not asked again."
        ) == str(warned[0].message)
        assert __file__ == warned[0].filename
        with warnings.catch_warnings(action="error"):
            assert analyze_dataframe(frame, **chosen)["semantic_function"].notna().all()
        assert 60 == service.chunks


def test_failed_rows_of_a_frame_are_warned_of(tmp_path: Path) -> None:
    """The same rows that make a command end with 1."""
    frame = pd.DataFrame({"text": ["For example, the hall.", "word " * 60_000, ""]})
    chosen: dict[str, Any] = {"topic": "T", "route": "offline", "ledger": tmp_path / "l.sqlite"}
    with pytest.warns(PartialResultWarning) as warned:
        analyze_dataframe(frame, **chosen)
    assert (
        "1 of 3 rows labelled (simulated); 1 failed (too_long 1). The column semfn_error "
        "says which."
    ) == str(warned[0].message)
    with warnings.catch_warnings(action="error"):
        analyze_dataframe(frame, max_failed=1, **chosen)


def test_no_ledger_named_is_that_of_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is the default, also where it is passed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    labeled = analyze_dataframe(FRAME, topic="Halls", route="offline", ledger=None)
    assert tmp_path in Path(labeled.attrs["semfn"]["paths"]["ledger"]).parents


def test_columns_may_have_names_of_any_type(tmp_path: Path) -> None:
    """A table that was read without a header has numbers; rows are counted from 1, as ids are."""
    frame = pd.DataFrame([["k", "For example, a hall."], ["l", 5]])
    chosen: dict[str, Any] = {"route": "offline", "topic": "T", "ledger": tmp_path / "l.sqlite"}
    with pytest.raises(ConfigurationError, match="column 1, row 2: 5 is of the type int"):
        analyze_dataframe(frame, text_column=1, **chosen)
    labeled = analyze_dataframe(frame[:1], text_column=1, id_column=0, **chosen)
    assert ["example"] == list(labeled["semantic_function"])
    assert "[0, 1]" == str(list(labeled.columns[:2]))
    with pytest.raises(ConfigurationError, match="text_column is of the type list; it must be"):
        analyze_dataframe(frame, text_column=[1], **chosen)


def test_a_missing_key_names_the_cure_of_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only that of the command."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigurationError, match="local=True"):
        analyze_dataframe(FRAME, topic="Halls")


def test_refused_key_raises_as_nothing_was_paid(tmp_path: Path) -> None:
    """Without a single answer there is no frame to give back."""
    from analysis.simulator.server import start_in_thread
    from analysis.simulator.service import Service, digest_answerer

    service = Service(digest_answerer(("example",)), api_key="right")
    with start_in_thread(service) as base_url, pytest.raises(AnalysisError, match="key"):
        analyze_dataframe(
            FRAME, topic="Halls", base_url=base_url, api_key="wrong", ledger=tmp_path / "l.sqlite"
        )


def test_faults_of_rows_are_told_in_the_words_of_frames(tmp_path: Path) -> None:
    """No path of a temporary file and no option of the command stands in the message."""
    doubled = FRAME.assign(key="same")
    with pytest.raises(ConfigurationError) as error:
        analyze_dataframe(
            doubled, local=True, id_column="key", topic="x", ledger=tmp_path / "l.sqlite"
        )
    message = str(error.value)
    assert message.startswith("DataFrame: Rows that repeat the id of an earlier row: 2")
    assert "id_column=" in message
    assert str(tmp_path.parent) not in message


def test_limit_gives_the_first_rows(tmp_path: Path) -> None:
    """A pilot comes back as short as it is."""
    labeled = analyze_dataframe(
        FRAME, topic="Halls", local=True, limit=1, ledger=tmp_path / "l.sqlite"
    )
    assert [30] == list(labeled.index)
