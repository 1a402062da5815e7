"""How it is trained: the trainer, checkpoints, the files of a run, and how it ends."""
