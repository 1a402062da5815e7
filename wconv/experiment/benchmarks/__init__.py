"""Benchmarks, mostly as ratios of two alternating measurements: one file per sub-command of `scripts/benchmark.py`."""
