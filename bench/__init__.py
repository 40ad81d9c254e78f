"""Benchmarks: what the pack costs beside a plain diffusers script of the same method, run side by side."""
