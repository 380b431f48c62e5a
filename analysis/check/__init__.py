"""Probes of an endpoint: what answers, which settings it takes, what it says of limits and models.

io. `semfn check` prints what they find, and the scripts in tests/probes are made of them. A probe
returns `Finding`s and prints nothing; a failed one holds its cure. Probes go the way of the
product: its analyzers and its transports. Only `settings` also sends frames of its own, since it
asks the server, and the product would refuse such settings before a byte is sent.
"""

from analysis.check.answers import PROBE_TEXT, PROBE_TOPIC, limits, round_trip
from analysis.check.course import PROBE_ROUTES, examine
from analysis.check.doors import availability, list_models, marked, models
from analysis.check.findings import Finding
from analysis.check.trials import TRIALS, Trial, settings

__all__ = [
    "PROBE_ROUTES",
    "PROBE_TEXT",
    "PROBE_TOPIC",
    "TRIALS",
    "Finding",
    "Trial",
    "availability",
    "examine",
    "limits",
    "list_models",
    "marked",
    "models",
    "round_trip",
    "settings",
]
