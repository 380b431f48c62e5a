"""Tests of analysis/transport."""
