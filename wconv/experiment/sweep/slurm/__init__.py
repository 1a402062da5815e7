"""A sweep on a cluster: commands of SLURM, batch files, submission."""
