"""POST /v1/realtime/client_secrets: a key for a while, to hand to a browser.

Pure. `routes` leads here; `handshake` lets the keys in. The settings of the session are checked and
told; a connection that uses the key still starts with the defaults (the vendor starts it with
them). Source: section 1.1 of the protocol notes and openai-python 3.52.0.
"""

from __future__ import annotations

import msgspec

from analysis.simulator.dialects import GA
from analysis.simulator.files import Call
from analysis.simulator.outcomes import HttpOutcome, settle
from analysis.simulator.refusals import Refusal, check_choice, check_fields, check_integer
from analysis.simulator.service import Service
from analysis.simulator.sessions import default_session, updated

DEFAULT_LIFE_S = 600
SHORTEST_LIFE_S = 10
LONGEST_LIFE_S = 7_200
_decode = msgspec.json.Decoder().decode


def create_secret(service: Service, call: Call) -> HttpOutcome:
    """Make an ephemeral key."""
    try:
        request = check_fields(_decode(call.body or b"{}"), ("expires_after", "session"), "")
    except msgspec.DecodeError as error:
        raise Refusal("We could not parse the JSON body of your request.") from error
    expiry = check_fields(
        request.get("expires_after") or {}, ("anchor", "seconds"), "expires_after"
    )
    check_choice(expiry.get("anchor", "created_at"), ("created_at",), "expires_after.anchor")
    seconds = expiry.get("seconds", DEFAULT_LIFE_S)
    check_integer(seconds, SHORTEST_LIFE_S, LONGEST_LIFE_S, "expires_after.seconds")
    expires_at = int(service.unix_time(call.now)) + seconds
    session = default_session(
        GA,
        session_id=service.new_id("sess"),
        model=service.answerer.name,
        expires_at=int(service.unix_time(call.now + service.profile.session_max_age_s)),
    )
    if request.get("session") is not None:
        session = updated(GA, session, request["session"])
    value = service.new_id("ek")
    service.storage.add_secret(value, call.now + seconds)
    content = {"value": value, "expires_at": expires_at, "session": session}
    return settle(service, content, at=call.now)
