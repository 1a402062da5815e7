"""What an experiment needs around Lightning: configuration, tasks, run folders, results."""
