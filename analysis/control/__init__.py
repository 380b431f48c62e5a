"""When requests go and how much is in them.

Pure: every method takes `now` (monotonic seconds), chance comes in as a `random.Random`.
"""
