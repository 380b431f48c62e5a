"""How close a scheduler comes to the shortest time that the limits allow, on virtual time.

`constants` says what is simulated, `bound` computes the shortest time, `market` is the service,
`stage` its clock, `ours` and `naive` the contestants, `table` the figures, `scale` the CPU cost.
"""
