"""Tests of analysis/wire."""
