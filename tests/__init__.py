"""Tests; see README for the command that runs them."""
