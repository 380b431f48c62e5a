"""A service on the loopback interface that speaks the vendor's protocols, for tests and trials.

`service`, `realtime`, `responses` and `faults` are pure: time and chance are handed in. `server`
is io. Nothing here imports the client side (`wire`, `labels`, `control`, `transport`), so that
both sides cannot share one misreading of the protocol.
"""
