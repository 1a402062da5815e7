"""logger=wandb: log a run to W&B; no failure of W&B stops the run.

The record mirrors the run folder. Each row is one epoch, sent once when the epoch is complete: a process that resumes a
run first asks the server, or reads from the parts on the disk, which epochs are recorded already.
"""

import os
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loggers.logger import DummyLogger, rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from wconv.experiment.common.exceptions import ConfigError, Interrupted
from wconv.experiment.common.metrics import best_mode
from wconv.experiment.common.text import one_line
from wconv.experiment.common.timeout import with_timeout
from wconv.experiment.reports.wandb import server
from wconv.experiment.reports.wandb.epoch_rows import best_values, epoch_rows, final_test_metrics
from wconv.experiment.reports.wandb.parts import Part, list_parts, recorded_epochs_and_media
from wconv.experiment.reports.wandb.run_info import shrink_image, wandb_config, wandb_run_id, wandb_tags
from wconv.experiment.runs.arm_styles import arm_name
from wconv.experiment.runs.run import Run

PATIENCE = 20.0  # seconds to wait for a server that stopped answering, at the start and at the end
LIMIT = 60.0  # seconds for any call of W&B, so that none can hang a run
STAGED_BY_USER = "WANDB_DATA_DIR" in os.environ


class WandbRunLogger(WandbLogger):
    """The W&B logger of a run; its W&B run starts together with the training.

    Args:
        run: its folder is mirrored.
        project: of W&B.
        entity: team or user; None for the default of the user.
        mode: "online" (offline if the server is out of reach) or "offline".
        part_minutes: interval at which a part is closed offline.

    Raises:
        ConfigError: wandb is not installed, or WANDB_MODE has an unknown value.
    """

    def __init__(self, run: Run, project: str, entity: str | None, mode: str, part_minutes: float) -> None:
        self.mode = server.resolve_mode(mode)
        try:
            super().__init__(name=run.directory.name, project=project, save_dir=run.directory, log_model=False)
        except ModuleNotFoundError as error:
            raise ConfigError("logger=wandb needs the package wandb: pip install wandb, or logger=csv") from error
        self.run = run
        self.entity = entity
        self.part_seconds = 60 * part_minutes
        self.is_disabled = self.mode == "disabled"
        self.part_started = 0.0
        self.epochs: set[int] = set()
        self.media: set[str] = set()

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run object of wandb, created on first access; a no-op object after W&B has failed."""
        if self._experiment is None:
            self._safely(self._start)
        return DummyLogger().experiment if self._experiment is None else self._experiment

    @rank_zero_only
    def log_epochs(self, until: int | None = None, **more: float) -> None:
        """Send the epochs that are complete and not recorded yet.

        Args:
            until: the last complete epoch; None after training, when all are.
            **more: values of that epoch that are not in the files.
        """
        self._safely(lambda: self._log_epochs(until, more))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log images and tables, each once per run; the numbers of an epoch are sent by `log_epochs`."""
        media = {name: value for name, value in metrics.items() if not isinstance(value, int | float)}
        if media:
            self._safely(lambda: self._log_media(media))

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Log images, downscaled if they are very large; the run folder has all pixels."""
        self._safely(
            lambda: super(WandbRunLogger, self).log_image(key, [shrink_image(image) for image in images], **kwargs)
        )

    @rank_zero_only
    def log_table(self, key: str, *args: Any, **kwargs: Any) -> None:
        """Log a table."""
        self._safely(lambda: super(WandbRunLogger, self).log_table(key, *args, **kwargs))

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the configuration is logged at the start."""

    @rank_zero_only
    def close(self, exit_code: int) -> None:
        """Close the record, if there is one, as finished (0), failed (1), or stopped and resumable (75)."""
        if self._experiment is not None:
            self.log_epochs()
            self._safely(lambda: self._end_part(exit_code))
            self.is_disabled = True

    def _start(self) -> None:
        if self.mode == "online" and (unreachable_reason := server.unreachable_reason()):
            self._go_offline(unreachable_reason)
        try:
            self._experiment = self._begin()
        except Exception as error:
            if self.mode == "offline":
                raise
            self._go_offline(one_line(error))
            self._experiment = self._begin()
        where = self._experiment.url if self.mode == "online" else f"offline, in {self.run.directory}/wandb"
        print(f"W&B: {where}", flush=True)

    def _begin(self) -> Any:
        import wandb

        run, directory = self.run, self.run.directory
        if not STAGED_BY_USER:  # otherwise W&B stages tables in the home directory before the upload
            os.environ["WANDB_DATA_DIR"] = str(directory / "wandb")
        experiment = wandb.init(
            project=self._project,
            entity=self.entity,
            dir=directory,
            id=wandb_run_id(directory / "wandb_id"),
            name=directory.name,
            group=os.environ.get("WCONV_SWEEP"),
            job_type=arm_name(run.config.conv),
            tags=wandb_tags(run),
            config=wandb_config(run),
            mode="online" if self.mode == "online" else "offline",
            resume="allow",
            reinit="finish_previous",
            settings=wandb.Settings(
                silent=True,
                console="off",
                program="train.py",
                x_disable_meta=True,  # do not record host, folders and command line
                x_save_requirements=False,
                disable_git=True,
                disable_code=True,
                disable_job_creation=True,
                init_timeout=PATIENCE,
                finish_timeout=PATIENCE,
                finish_timeout_raises=True,
                x_transaction_log_flush_interval=1.0,
                x_file_stream_retry_max=10_000,  # the server may come back after hours
                x_file_stream_retry_wait_max_seconds=60.0,
            ),
        )
        self.part_started = time.monotonic()
        earlier = list_parts(directory)[:-1]
        if self.mode == "offline":
            self.epochs, self.media = recorded_epochs_and_media(earlier)
        else:
            self.epochs, self.media = recorded_epochs_and_media(
                part for part in earlier if part.is_offline and not part.is_uploaded
            )
            shown = dict(experiment.summary)
            self.epochs |= set(range(int(shown.get("epoch", -1)) + 1))
            self.media |= set(shown)
            for part in earlier:  # missing epochs of these are sent again from the files
                if not part.is_offline:
                    part.mark.touch()
        experiment.define_metric("epoch")
        return experiment

    def _log_epochs(self, until: int | None, more: Mapping[str, float]) -> None:
        experiment = self.experiment
        rows = epoch_rows(self.run.directory)
        due = {epoch: row for epoch, row in rows.items() if until is None or epoch <= until}
        for name in dict.fromkeys(name for row in [*due.values(), more] for name in row):
            experiment.define_metric(name, step_metric="epoch", summary=best_mode(name))
        for epoch, row in due.items():
            if epoch not in self.epochs:
                experiment.log({"epoch": epoch, **row, **(more if epoch == until else {})})
                self.epochs.add(epoch)
        # W&B computes the best value of this process only; overwrite it with that of the whole run.
        experiment.summary.update(best_values(due))
        if until is None:
            experiment.summary.update(final_test_metrics(self.run.directory))
        elif self.mode == "offline" and time.monotonic() - self.part_started > self.part_seconds:
            self._end_part(Interrupted.exit_code)
            self._experiment = self._begin()

    def _log_media(self, media: Mapping[str, Any]) -> None:
        experiment = self.experiment
        fresh = {name: value for name, value in media.items() if name not in self.media}
        if fresh:
            self.media |= fresh.keys()
            try:
                experiment.log(fresh)  # for a table, W&B contacts the server first
            except Exception as error:
                warnings.warn(f"W&B does not show {', '.join(fresh)}: {one_line(error)}", stacklevel=2)

    def _end_part(self, exit_code: int) -> None:
        experiment: Any = self._experiment
        self._experiment = None
        part = Part(Path(experiment.settings.sync_file))
        if exit_code == Interrupted.exit_code:
            experiment.mark_preempting()
        experiment.finish(exit_code=exit_code)
        if self.mode == "online":
            part.mark.touch()

    def _go_offline(self, reason: str) -> None:
        self.mode = "offline"
        warnings.warn(f"W&B is offline: {reason}; scripts/sync_wandb.py uploads the record later", stacklevel=2)

    def _safely(self, action: Callable[[], Any]) -> None:
        """Run an action of W&B; if it fails, warn once and stop using W&B."""
        if self.is_disabled:
            return
        try:
            with_timeout(action, LIMIT)
        except Exception as error:
            self.is_disabled = True
            reason = f"{type(error).__name__}: {one_line(error)}"
            told = f"W&B gave up ({reason}); the run goes on without it, and scripts/sync_wandb.py uploads the rest"
            warnings.warn(told, stacklevel=2)
            _let_go()


def _let_go() -> None:
    """End W&B's process now; otherwise our exit would wait for it, and print a traceback if it is dead."""
    import wandb

    with suppress(Exception):
        with_timeout(lambda: wandb.teardown(exit_code=1), LIMIT)
