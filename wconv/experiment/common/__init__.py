"""Helpers for all packages of `wconv.experiment`, without heavy imports: exceptions, text, files, signals."""
