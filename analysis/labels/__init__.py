"""What is asked about a chunk, and how the reply is read.

Pure. Label sets, prompt, answer check, the rule labeller and the token estimator. Package data
(label sets and cue lists, TOML) is read once, on first use.
"""
