"""Helpers for all rooms, without heavy imports: exceptions, text, files, signals."""
