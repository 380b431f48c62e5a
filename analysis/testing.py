"""The simulated service as a context manager and as a pytest fixture, for tests of other code.

io. For users: `local_service` runs the service in a thread, `async_local_service` in the running
event loop; `pytest_plugins = ["analysis.testing"]` gives the fixture `semfn_service`. The command
`simulate` makes its service here, too. pytest is needed for the fixture only.
"""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

import msgspec

from analysis.errors import ConfigurationError
from analysis.kinds import (
    FLAG,
    NONE,
    NUMBER,
    TEXT,
    WHOLE,
    Kind,
    check_kind,
    instance_of,
    plain_number,
)
from analysis.labels.label_set import LabelSet
from analysis.labels.rules import label_texts
from analysis.simulator import faults as catalogue
from analysis.simulator import outages as plan
from analysis.simulator.certificates import throw_away_certificate
from analysis.simulator.profile import DEFAULT_SEED, PROFILE, ROUTES, Profile
from analysis.simulator.refusals import Json
from analysis.simulator.server import LocalService, start_in_thread
from analysis.simulator.service import Answerer, Service, digest_answerer

if TYPE_CHECKING:
    import pytest

ANY_KEY = "simulated"
"""Key of a handle whose service accepts any."""

LABEL_SET = "ten_functions"

_NAMES = Kind(
    words="a list of str",
    takes=lambda value: isinstance(value, Iterable) and not isinstance(value, str | bytes),
)
_OPTION_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("host", "dialect"), TEXT),
    **dict.fromkeys(("tls", "no_json_schema", "no_logprobs", "digest_labels"), FLAG),
    **dict.fromkeys(("obedient", "canned"), FLAG),
    **dict.fromkeys(("latency_ms", "ms_per_token", "session_max_age"), NUMBER),
    **dict.fromkeys(("rpm", "tpm", "rpd", "seed"), WHOLE | NONE),
    **dict.fromkeys(("faults", "outages", "endpoints", "without"), _NAMES),
    "port": WHOLE,
    "api_key": TEXT | NONE,
    "switches": instance_of(Mapping, "a mapping from str to values"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What the service is and does; the options of `semfn simulate` under the same names.

    Attributes:
        host: Loopback address to bind.
        port: Port to bind; 0 takes a free one.
        tls: Serve https and wss with a throw-away certificate.
        api_key: The only key that is accepted; None accepts any.
        dialect: Of the Realtime route, `ga` or `beta`.
        latency_ms: Median latency of an answer; 0 answers at once.
        ms_per_token: Milliseconds per token of an answer, on top of that.
        rpm: Requests per minute, or None for no limit.
        tpm: Tokens per minute, or None for no limit.
        rpd: Requests per day, or None for no limit.
        faults: Such as `drop=0.02`, `overloaded=1@3-4`, `limits:rpm=600@10-`.
        outages: Such as `realtime=2:5`.
        endpoints: Routes that exist.
        without: Routes that are left out of these.
        no_json_schema: Refuse JSON schemas for answers on the HTTP routes.
        no_logprobs: State no probabilities of tokens: refuse requests that ask for them.
        seed: Of ids, latencies and faults.
        digest_labels: Labels are a function of sha256 of the text; else the rule labeller's.
        obedient: The model obeys usual wordings of orders in texts; see `simulator/orders.py`.
        canned: Every chunk gets the same label at least cost, to measure clients.
        session_max_age: Seconds after which a Realtime session is closed.
        switches: Field of the profile -> value, such as `responses.lane_names` -> 4.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: bool = False
    api_key: str | None = None
    dialect: str = "ga"
    latency_ms: float = 0.0
    ms_per_token: float = 0.0
    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    faults: Iterable[str] = ()
    outages: Iterable[str] = ()
    endpoints: Collection[str] = ROUTES
    without: Collection[str] = ()
    no_json_schema: bool = False
    no_logprobs: bool = False
    seed: int = DEFAULT_SEED
    digest_labels: bool = False
    obedient: bool = False
    canned: bool = False
    session_max_age: float = PROFILE.session_max_age_s
    switches: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ServiceOptions:
        """Return the options by name.

        Raises:
            ConfigurationError: If a name is unknown, or a value is of another type.
        """
        known = [entry.name for entry in fields(cls)]
        if unknown := sorted(options.keys() - set(known)):
            raise ConfigurationError(
                f"There is no option {', '.join(unknown)}. Options: {', '.join(sorted(known))}."
            )
        plain = {name: plain_number(value) for name, value in options.items()}
        for name, value in plain.items():
            check_kind(name, value, _OPTION_KINDS[name])
        return cls(**plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServiceHandle:
    """A service that runs.

    Attributes:
        base_url: What clients take as their base URL.
        api_key: A key that is accepted.
        payments: One record per paid request, added before its answer is sent.
        events: One record per thing that happened; the first one holds the options.
        ca_file: PEM file that clients of a TLS door have to trust, else None.
    """

    base_url: str
    api_key: str
    payments: list[Json]
    events: list[Json]
    ca_file: Path | None

    def environ(self) -> dict[str, str]:
        """Return the variables through which clients in other processes find the service."""
        found = {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": self.api_key}
        if self.ca_file is not None:
            found |= dict.fromkeys(("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), str(self.ca_file))
        return found


@contextmanager
def local_service(**options: Any) -> Iterator[LocalServiceHandle]:
    """Run the service in a thread until the context is left.

    Args:
        options: Fields of `ServiceOptions`.

    Raises:
        ConfigurationError: If an option cannot be used.
        OSError: If the port cannot be bound.
    """
    chosen = ServiceOptions.of(options)
    with ExitStack() as held:
        tls, ca_file = open_tls(chosen, held)
        payments: list[Json] = []
        events: list[Json] = []
        service = make_service(chosen, payment=payments.append, event_log=events.append)
        running = start_in_thread(service, host=chosen.host, port=chosen.port, tls=tls)
        yield LocalServiceHandle(
            base_url=held.enter_context(running),
            api_key=chosen.api_key or ANY_KEY,
            payments=payments,
            events=events,
            ca_file=ca_file,
        )


@asynccontextmanager
async def async_local_service(**options: Any) -> AsyncIterator[LocalServiceHandle]:
    """Run the service in the running event loop until the context is left; as `local_service`."""
    chosen = ServiceOptions.of(options)
    with ExitStack() as held:
        tls, ca_file = open_tls(chosen, held)
        payments: list[Json] = []
        events: list[Json] = []
        service = make_service(chosen, payment=payments.append, event_log=events.append)
        async with LocalService(service, host=chosen.host, port=chosen.port, tls=tls) as local:
            yield LocalServiceHandle(
                base_url=local.base_url,
                api_key=chosen.api_key or ANY_KEY,
                payments=payments,
                events=events,
                ca_file=ca_file,
            )


def open_tls(options: ServiceOptions, held: ExitStack) -> tuple[SSLContext | None, Path | None]:
    """Return what server and clients need for TLS, or None twice; the files go with `held`."""
    if not options.tls:
        return None, None
    certificate = held.enter_context(throw_away_certificate())
    return certificate.context, certificate.ca_file


def make_service(
    options: ServiceOptions,
    *,
    payment: Callable[[Json], None] | None,
    event_log: Callable[[Json], None] | None,
) -> Service:
    """Return the service that the options describe.

    Args:
        options: What it is and does.
        payment: Called with one record per paid request, before its answer is sent.
        event_log: Called with one record per thing that happened.

    Raises:
        ConfigurationError: If an option cannot be used.
    """
    probabilities, script = catalogue.parse(options.faults)
    switches = {"session_max_age_s": options.session_max_age, **options.switches}
    return Service(
        make_answerer(is_digest=options.digest_labels),
        seed=options.seed,
        api_key=options.api_key,
        dialect=options.dialect,
        endpoints=frozenset(options.endpoints) - frozenset(options.without),
        has_json_schema=not options.no_json_schema,
        has_logprobs=not options.no_logprobs,
        latency_ms=options.latency_ms,
        ms_per_token=options.ms_per_token,
        rpm=options.rpm,
        tpm=options.tpm,
        rpd=options.rpd,
        faults=probabilities,
        fault_script=script,
        outages=plan.parse(options.outages),
        obedient=options.obedient,
        canned=options.canned,
        payment=payment,
        event_log=event_log,
        profile=turn(PROFILE, switches),
    )


def make_answerer(*, is_digest: bool) -> Answerer:
    """Return the simulated model: digest labels, or the rule labeller."""
    if is_digest:
        return digest_answerer(LabelSet.load(LABEL_SET).keys)
    return Answerer(name="offline-rules", label=label_texts)


def turn(profile: Profile, switches: Mapping[str, Any]) -> Profile:
    """Return the profile with some of its fields changed.

    Args:
        profile: The profile to start from.
        switches: Name -> value; a field of a part is named with a dot, `responses.lane_names`.

    Raises:
        ConfigurationError: If a name is unknown or a value is of another type.
    """
    values = msgspec.to_builtins(profile)
    for name, value in switches.items():
        *parts, last = name.split(".")
        table = values
        for part in parts:
            table = table.get(part) if isinstance(table, dict) else None
        if not isinstance(table, dict) or last not in table or isinstance(table[last], dict):
            raise ConfigurationError(
                f"Switch {name!r} is unknown. Use one of: {', '.join(switch_names(profile))}."
            )
        table[last] = value
    try:
        return msgspec.convert(values, Profile)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"A switch cannot be set: {error}.") from error


def switch_names(profile: Profile) -> list[str]:
    """Return the names of all fields of a profile, those of its parts with a dot."""
    found = []
    for name, value in msgspec.to_builtins(profile).items():
        found += [f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name]
    return found


def read_switches(options: Iterable[str]) -> dict[str, Any]:
    """Read options of the form `NAME=VALUE`; a value is a number, `true`, `false` or `none`.

    Raises:
        ConfigurationError: If an option has another form.
    """
    found: dict[str, Any] = {}
    for option in options:
        name, _, text = option.partition("=")
        try:
            found[name] = None if text == "none" else tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(
                f"Switch {option!r} cannot be read. Write NAME=VALUE with a number, true, false or "
                "none."
            ) from error
    return found


def pytest_configure(config: pytest.Config) -> None:
    """Give tests the fixture `semfn_service` and its marker; pytest calls this."""
    import pytest

    config.addinivalue_line(
        "markers", "semfn_service(**options): options of the service of fixture semfn_service"
    )

    class Fixtures:
        @pytest.fixture
        def semfn_service(self, request: pytest.FixtureRequest) -> Iterator[LocalServiceHandle]:
            """Run the service for one test; the marker of the same name holds its options."""
            marker = request.node.get_closest_marker("semfn_service")
            with local_service(**(marker.kwargs if marker else {})) as handle:
                yield handle

    config.pluginmanager.register(Fixtures(), "semfn_service")
