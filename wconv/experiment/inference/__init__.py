"""Use of trained networks: load, evaluate, export, and denoise photos."""
