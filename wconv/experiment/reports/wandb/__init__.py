"""Weights & Biases: logger, offline records and their upload, and the dashboard."""
