"""How batches are cut from images that lie in memory, and resume where a checkpoint was made."""
