"""Tests of the simulated service; the parts are pure and get their time handed in."""
