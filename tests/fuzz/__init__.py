"""Coverage-guided fuzzing of the protocol code, with oracles on who gets which answer."""
