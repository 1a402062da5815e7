"""Many runs as one: listed, run here or on a cluster, watched, and started again."""
