"""The latency benchmark: a simulated or real service, the measuring loop, figures, report, plot.

io, but for `figures`. The command `bench` calls it; nothing else does.
"""
