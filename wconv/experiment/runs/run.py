"""A run and its folder: found by the identity of the run, locked by one process, with the status of the run."""

import os
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from wconv.experiment.common.checkout import relative_paths
from wconv.experiment.common.exceptions import ConfigError, Diverged, Interrupted, RunError
from wconv.experiment.common.failures import log_failure
from wconv.experiment.common.files import remove_temporary_files, write_atomically
from wconv.experiment.runs.identity import identity, model_name, run_hash
from wconv.experiment.runs.lock import LOCK, acquire_lock
from wconv.experiment.runs.provenance import provenance
from wconv.experiment.runs.run_files import check_folder, read_results_unverified, sealed_config, sealed_results


class Run:
    """A run and its folder `<output_dir>/<task>/<model>-<conv>-s<seed>-<hash>`.

    Args:
        config: the composed configuration.
        data: fingerprint of its data.
        output_dir: folder of all runs.
    """

    def __init__(self, config: DictConfig, data: dict[str, Any], output_dir: Path) -> None:
        self.config = config
        self.data = data
        self.facts: dict[str, Any] = {}  # about its network, for results.json, even if the run fails
        what = identity(self.resolved_config, data)
        self.hash = run_hash(what)
        self.checkpoint: str | None = what["config"].get("model", {}).get("checkpoint")  # digest of its contents
        name = f"{model_name(config.model)}-{config.conv.name}-s{config.seed}-{self.hash[:8]}"
        self.directory: Path = output_dir / config.task.name / name
        self.checkpoints: Path = self.directory / "checkpoints"
        if os.path.isdir(self.directory):  # Path.is_dir raises if access is denied
            check_folder(self.directory)

    @property
    def resolved_config(self) -> dict[str, Any]:
        """The configuration as plain values, without interpolations."""
        content = OmegaConf.to_container(self.config, resolve=True)
        assert isinstance(content, dict)
        return {str(key): value for key, value in content.items()}

    @property
    def results(self) -> dict[str, Any]:
        """The content of results.json; empty if it is missing or unreadable.

        Raises:
            ConfigError: the folder belongs to another run.
        """
        try:
            content, sound = read_results_unverified(self.directory)
        except (OSError, ValueError):
            return {}
        if "config_hash" not in content:
            return {}
        if content.get("config_hash") != self.hash:
            raise ConfigError(
                f"{self.directory} holds another run, of hash {content.get('config_hash')}; "
                "choose another paths.output_dir"
            )
        return content if sound else {}

    @property
    def is_completed(self) -> bool:
        """Whether there is nothing left to do."""
        results = self.results
        return results.get("status") == "completed" and {"metrics", "versions"} <= results.keys()

    def write_results(self, status: str, **more: Any) -> None:
        """Write the whole results.json."""
        config = self.config
        density = OmegaConf.to_container(config.conv.density) if "density" in config.conv else {}
        by_layer = self.resolved_config["conv"].get("layer_density")
        content = {
            "status": status,
            "task": config.task.name,
            "model": model_name(config.model),
            "conv": config.conv.name,
            "density": density,
            **({"layer_density": by_layer} if by_layer else {}),
            "init": config.init.name,
            "seed": config.seed,
            "config_hash": self.hash,
            "data": self.data,
            **({"checkpoint": self.checkpoint} if self.checkpoint else {}),
            **self.facts,
            **more,
            **provenance(),
        }
        self._write("results.json", sealed_results(content))

    @contextmanager
    def acquire(self) -> Iterator[bool]:
        """Lock and prepare the folder, and record the outcome if the run fails or is stopped.

        Yields:
            Whether there is anything left to do: another process may have finished the run in the meantime.

        Raises:
            ConfigError: the folder cannot be created or written.
            Interrupted: another process holds it, or the run was stopped.
            RunError: the run failed; error.log has the traceback.
        """
        if (rank := getattr(rank_zero_only, "rank", 0)) > 0:  # the first process locks the folder and reports for all
            with log_failure(self.directory, f"error.rank{rank}.log"):
                yield True
            return
        with ExitStack() as stack:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                stack.enter_context(acquire_lock(self.directory))
                to_do = self.config.force or not self.is_completed
                if to_do:
                    self._make_ready()
            except OSError as error:
                raise ConfigError(
                    f"the run folder {self.directory} cannot be written ({error.strerror}); set paths.output_dir"
                ) from error
            with self._reported():
                yield to_do

    def _make_ready(self) -> None:
        if self.config.force:
            for path in self.directory.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif not path.name.startswith(LOCK):
                    path.unlink()
        for log in (self.directory / "error.log", *self._logs_of_other_processes()):
            log.unlink(missing_ok=True)
        for folder in (self.directory, self.checkpoints, self.directory / "images"):
            remove_temporary_files(folder)
        self._write("config.yaml", sealed_config(OmegaConf.to_yaml(relative_paths(self.config), resolve=True)))
        self.write_results("running", started=time.strftime("%Y-%m-%dT%H:%M:%S%z"))

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            with log_failure(self.directory):
                yield
        except RunError as error:
            with suppress(OSError):  # the disk may be full; the folder then still says that the run is unfinished
                if isinstance(error, Interrupted):
                    self.write_results("interrupted")
                else:
                    lines = traceback.format_exception(error.__cause__ or error)
                    lines += [
                        f"\nAnother process failed before: see {log}\n" for log in self._logs_of_other_processes()
                    ]
                    self._write("error.log", "".join(lines))
                    self.write_results("failed", error=str(error), diverged=isinstance(error, Diverged))
            raise

    def _logs_of_other_processes(self) -> list[Path]:
        return sorted(self.directory.glob("error.rank*.log"))

    def _write(self, name: str, text: str) -> None:
        write_atomically(self.directory / name, text.encode())
