"""Training: the trainer, its callbacks, checkpoints, preflight checks, and results."""
