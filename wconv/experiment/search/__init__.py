"""Density search: search space, methods, evaluation, history, confirmation and plots."""
