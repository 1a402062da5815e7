"""A ModelCheckpoint that still works after its folder was moved."""

from pathlib import Path
from typing import Any

from pytorch_lightning.callbacks import ModelCheckpoint


class RelocatableCheckpoint(ModelCheckpoint):
    """Keep one checkpoint of a fixed name in a folder.

    Lightning's own class forgets the best epoch if the path of the folder has changed: a run that was moved, or is
    reached through a link, would then save a worse epoch as its best.

    Args:
        folder: of the file.
        filename: its name without the extension.
        **options: as in Lightning's `ModelCheckpoint`.
    """

    def __init__(self, folder: Path, filename: str, **options: Any) -> None:
        # Save after validation: before it, Lightning would count the epoch as unfinished.
        super().__init__(folder, filename, enable_version_counter=False, save_on_train_epoch_end=False, **options)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state, with all paths changed to the current folder."""
        state = dict(state_dict, dirpath=self.dirpath)
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state[name] = self._here(state[name])
        state["best_k_models"] = {self._here(path): score for path, score in state["best_k_models"].items()}
        super().load_state_dict(state)

    def _here(self, path: str) -> str:
        # Never trust the path in a checkpoint: this file is deleted when a better epoch comes.
        return str(Path(str(self.dirpath)) / f"{self.filename}{self.FILE_EXTENSION}") if path else path
