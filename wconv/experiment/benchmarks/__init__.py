"""What things cost, as ratios of two measured in turn: a file a sub-command of `scripts/benchmark.py`."""
