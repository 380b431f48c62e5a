"""The service for other people's tests: context managers, fixture, options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.errors import ConfigurationError
from analysis.records import Verdict
from analysis.semantic_function import SemanticRestAnalyzer
from analysis.simulator.profile import PROFILE
from analysis.testing import (
    ANY_KEY,
    LocalServiceHandle,
    ServiceOptions,
    async_local_service,
    local_service,
    read_switches,
    switch_names,
    turn,
)
from tests.tidy.source_tree import ROOT

TEXT = "For example, the night train to Lyon carries a sleeping car."

USERS_TEST = """
import urllib.error
import urllib.request

import pytest


def status(handle):
    request = urllib.request.Request(
        f"{handle.base_url}/models", headers={"Authorization": f"Bearer {handle.api_key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=240) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_plain(semfn_service):
    assert status(semfn_service) == 200
    assert semfn_service.payments == []


@pytest.mark.semfn_service(without=["models"])
def test_marked(semfn_service):
    assert status(semfn_service) == 404
"""


async def label(handle: LocalServiceHandle) -> Verdict:
    """Label one chunk at the service."""
    async with SemanticRestAnalyzer(api_key=handle.api_key, base_url=handle.base_url) as analyzer:
        return await analyzer.analyze_chunk("1", TEXT)


@pytest.mark.asyncio
async def test_a_service_in_a_thread_labels_and_records() -> None:
    """Labels of the rule labeller, a payment, events that begin with the options."""
    with local_service(seed=7) as handle:
        verdict = await label(handle)
        assert ("example",) == verdict.labels
        assert [1] == [payment["chunks"] for payment in handle.payments]
        assert ("configured", 7) == (handle.events[0]["kind"], handle.events[0]["seed"])
        assert handle.ca_file is None
        expected = {"OPENAI_BASE_URL": handle.base_url, "OPENAI_API_KEY": ANY_KEY}
        assert expected == handle.environ()


@pytest.mark.asyncio
async def test_a_service_in_the_running_loop_does_the_same() -> None:
    """With a key of its own, digest labels and one paid request."""
    async with async_local_service(api_key="k-1", digest_labels=True) as handle:
        assert "k-1" == handle.api_key
        assert "digest-labels" == (await label(handle)).model
        assert 1 == len(handle.payments)


@pytest.mark.asyncio
async def test_switches_of_the_model_reach_the_service() -> None:
    """A canned model gives each text the label that it gives to an empty one."""
    async with async_local_service(canned=True) as handle:
        canned = await label(handle)
    assert canned.labels != ("example",)


@pytest.mark.asyncio
@pytest.mark.parametrize("is_without", [True, False])
async def test_a_service_without_token_probabilities_gives_no_confidence(is_without: bool) -> None:
    """The request goes without them, once its refusal was heard; every chunk has its label."""
    told: list[str] = []
    options: dict[str, Any] = {"topic": "Buses", "logprobs": True}
    async with (
        async_local_service(digest_labels=True, no_logprobs=is_without) as handle,
        SemanticRestAnalyzer(
            api_key="k",
            base_url=handle.base_url,
            on_event=lambda event: told.append(event.message),
            **options,
        ) as analyzer,
    ):
        verdict = await analyzer.analyze_chunk("1", "For example, a bus.")
    assert verdict.labels
    assert is_without == (verdict.confidence is None)
    assert is_without == any("does not take logprobs" in message for message in told)


def test_an_unknown_option_names_the_known_ones() -> None:
    """As for every other call of the package."""
    with (
        pytest.raises(ConfigurationError, match=r"no option colour\. Options: api_key, canned"),
        local_service(colour="red"),
    ):
        pytest.fail("It started.")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("faults", "drop=0.02", "faults is a str that cannot be used; it must be a list of str."),
        ("latency_ms", "5", "latency_ms is of the type str; it must be a number"),
        ("port", None, "port is None; it must be a whole number."),
        ("rpm", 2.5, "rpm is of the type float; it must be a whole number, or None."),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: object, words: str) -> None:
    """Before anything is started; letter by letter, a text would be a list of faults."""
    with pytest.raises(ConfigurationError) as error:
        ServiceOptions.of({name: value})
    assert words in str(error.value)


def test_each_option_has_a_kind_that_takes_its_default() -> None:
    """So a new one cannot be forgotten."""
    defaults = ServiceOptions()
    given = {name: getattr(defaults, name) for name in ServiceOptions.__dataclass_fields__}
    assert defaults == ServiceOptions.of(given)


def test_a_host_that_is_not_loopback_is_refused() -> None:
    """The service has no protection of its own."""
    with (
        pytest.raises(ConfigurationError, match="loopback"),
        local_service(host="0.0.0.0"),
    ):
        pytest.fail("It started.")


def test_the_fixture_takes_its_options_from_the_marker(tmp_path: Path) -> None:
    """In a project that names the plugin, with markers checked strictly."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["analysis.testing"]\n')
    (tmp_path / "test_own.py").write_text(USERS_TEST, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": "",
            "NO_PROXY": "*",
            "XDG_STATE_HOME": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_module_is_imported_without_pytest() -> None:
    """Only the fixture needs it."""
    code = "import sys; sys.modules['pytest'] = None; import analysis.testing"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=240)


# Switches


def test_a_switch_changes_one_field_of_the_profile() -> None:
    """Of the profile itself or, with a dot, of a part of it; all others stay."""
    switches = read_switches(["latency_sigma=0", "responses.expired_close_code=none"])
    changed = turn(PROFILE, switches)
    assert (0.0, None) == (changed.latency_sigma, changed.responses.expired_close_code)
    assert PROFILE == turn(PROFILE, {})
    differing = {
        name for name in switch_names(PROFILE) if _value(changed, name) != _value(PROFILE, name)
    }
    assert set(switches) == differing


def _value(profile: object, name: str) -> object:
    for part in name.split("."):
        profile = getattr(profile, part)
    return profile


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ("colour=1", "Use one of: latency_sigma"),
        ("responses=1", "is unknown"),
        ("responses.running.x=1", "is unknown"),
        ("responses.running=true", "Expected `int`, got `bool`"),
        ("responses.running", "Write NAME=VALUE"),
        ("responses.running=many", "Write NAME=VALUE"),
    ],
)
def test_a_switch_that_cannot_be_used_is_refused(option: str, part: str) -> None:
    """The message names what is allowed."""
    with pytest.raises(ConfigurationError, match=r"[Ss]witch") as caught:
        turn(PROFILE, read_switches([option]))
    assert part in str(caught.value)


def test_the_command_has_an_option_for_each_field() -> None:
    """What tests can ask for, a shell can, too."""
    from analysis.commands.simulate import simulate

    own = {parameter.name for parameter in simulate.params} - {
        "payment_log",
        "event_log",
        "fault_list",
    }
    assert own == set(ServiceOptions.__dataclass_fields__)
