"""Sweeps: many runs that are listed, run here or on a cluster, monitored and retried together."""
