"""The run folder: identity, lock, files, checkpoints, and reading runs back."""
