"""Batches cut from images in memory, resumable in the middle of an epoch."""
