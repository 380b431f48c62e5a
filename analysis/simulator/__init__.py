"""A service on the loopback interface that speaks the vendor's protocols, for tests and trials.

All modules but `server` are pure: time and chance are handed in. `service` is the account;
`realtime`, `responses` and `chat` are the protocols, `dialects` the two forms of the first and
`lanes` the second one over a WebSocket. `decisions` reads its input with `evidence` and answers
with `probabilities`; `batches` reads its file with `rows`, and `files`, batches and keys for a
while (`ephemeral`) are kept in `storage`. `routes` has the addresses, `addresses` the forms of
Azure, and `server` opens the sockets.
Parts of the account: `limits`, `latency`, `cache`, `answers` and `orders` (what the model writes),
`faults` and `outages` (what goes wrong, and when); `mischief` disturbs frames on their way out.
Nothing here imports the client side (`wire`, `labels`, `control`, `transport`), so that both sides
cannot share one misreading of the protocol.
"""
