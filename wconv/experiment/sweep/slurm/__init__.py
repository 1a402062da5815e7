"""Sweeps on a SLURM cluster: commands, batch files, submission."""
