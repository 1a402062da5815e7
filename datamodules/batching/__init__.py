"""How batches are cut from images that lie in memory, and go on where a checkpoint was made."""
