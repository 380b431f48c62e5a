"""A service on the loopback interface that speaks the vendor's protocols, for tests and trials.

All modules but `server` are pure: time and chance are handed in. `service` is the account;
`realtime`, `responses` and `chat` are the protocols, `dialects` the two forms of the first;
`routes` has the addresses, and `server` opens the sockets. Nothing here imports the client side
(`wire`, `labels`, `control`, `transport`), so that both sides cannot share one misreading of the
protocol.
"""
