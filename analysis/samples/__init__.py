"""Sample tables for demos and tests; see README.md. Data only, read by the commands."""
