"""How close a scheduler comes to the shortest time that the limits allow.

`constants` says what is simulated, `bound` computes the shortest time, `market` is the service and
`stage` its virtual clock, `ours` and `naive` play on it, `entrants` names who plays how, `table`
makes the figures, `scale` the CPU cost. `sockets` plays the same over real sockets, with the
processes of `local` and the jobs of `client`.
"""
