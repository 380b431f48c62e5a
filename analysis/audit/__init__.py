"""Asking the same chunks again in several ways: what packing and routes do to labels.

`semfn evaluate --audit` and `semfn prove` call it.
"""
