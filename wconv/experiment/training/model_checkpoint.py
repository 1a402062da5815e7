"""Checkpoints that find themselves again after their folder has moved."""

from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import ModelCheckpoint


class RelocatableCheckpoint(ModelCheckpoint):
    """Keep one file in a folder, named once and for all.

    Lightning's own forgets which epoch was best when the folder has another name than before: a run that was moved, or
    reached through a link, would then take a worse epoch for its best.

    Args:
        folder: where the file lies.
        filename: its name without the ending.
        **options: as in Lightning's `ModelCheckpoint`.
    """

    def __init__(self, folder: Path, filename: str, **options: Any) -> None:
        # After validation: at the end of the training part Lightning would count the epoch as unfinished.
        super().__init__(folder, filename, enable_version_counter=False, save_on_train_epoch_end=False, **options)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state, with every path in the folder as it is called now."""
        state = dict(state_dict, dirpath=self.dirpath)
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state[name] = self._here(state[name])
        state["best_k_models"] = {self._here(path): score for path, score in state["best_k_models"].items()}
        super().load_state_dict(state)

    def _here(self, path: str) -> str:
        # Whatever a foreign checkpoint calls it: what is there is deleted when a better epoch comes.
        return str(Path(str(self.dirpath)) / f"{self.filename}{self.FILE_EXTENSION}") if path else path
