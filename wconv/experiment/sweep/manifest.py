"""The manifest of a sweep: one row per run, with its folder and its command line."""

import csv
import io
import json
import shlex
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from wconv.experiment.common.files import write_atomically

HEADER = ("directory", "model", "epochs", "command")
UNKNOWN = "????????"  # in place of the hash of a run whose data is missing
SHARED_KEYS = (
    "cluster",
    "resources",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
)  # shared by all runs
PROGRAM = "python train.py "


@dataclass(frozen=True)
class Row:
    """A run of a sweep.

    Attributes:
        directory: its folder.
        model: name of its backbone.
        epochs: number of epochs to train.
        arguments: of train.py, quoted for a shell.
    """

    directory: Path
    model: str
    epochs: int
    arguments: str

    @property
    def overrides(self) -> list[str]:
        """Arguments of train.py."""
        return shlex.split(self.arguments)


@dataclass(frozen=True)
class Settings:
    """The common settings of the runs of a sweep.

    Attributes:
        values: the groups cluster and resources, and the accelerator, devices and nodes of the trainer, by name.
    """

    values: dict[str, Any]

    @property
    def cluster(self) -> dict[str, Any]:
        """The config group of the cluster."""
        return dict(self.values["cluster"])

    @property
    def resources(self) -> dict[str, Any]:
        """The config group of the resources of a process and a job."""
        return dict(self.values["resources"])

    @property
    def asks_for_gpu(self) -> bool:
        """Whether a run fails on a machine without a GPU."""
        return self.values["trainer.accelerator"] in ("gpu", "cuda")

    @property
    def runs_per_gpu(self) -> int:
        """How many runs share a GPU."""
        return int(self.values["resources"].get("runs_per_gpu") or 1)

    @property
    def nodes(self) -> int:
        """Number of nodes of a run."""
        return int(self.values["trainer.num_nodes"])

    @property
    def processes(self) -> int:
        """Number of processes of a run on each node.

        Raises:
            ValueError: trainer.devices is no number.
        """
        try:
            return int(self.values["trainer.devices"])
        except (TypeError, ValueError):
            raise ValueError(
                f"trainer.devices={self.values['trainer.devices']}: a cluster needs a number of processes a node"
            ) from None


@dataclass(frozen=True)
class Sweep:
    """A sweep with all its runs.

    Attributes:
        name: of the sweep.
        folder: of its manifest and its launches.
        rows: its runs.
        settings: common to all runs.
        key: hash of the overrides and configuration that it was expanded from.
        program: that its jobs run, relative to the folder of train.py.
    """

    name: str
    folder: Path
    rows: list[Row]
    settings: Settings
    key: str = field(default="", compare=False)
    program: str = "train.py"

    def write(self) -> None:
        """Write manifest.csv and settings.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(HEADER)
        for row in self.rows:
            writer.writerow([row.directory, row.model, row.epochs, PROGRAM + row.arguments])
        write_atomically(self.folder / "manifest.csv", table.getvalue().encode())
        content = {"key": self.key, "settings": self.settings.values}
        write_atomically(self.folder / "settings.json", (json.dumps(content, indent=2) + "\n").encode())


def read_sweep(name: str, folder: Path, key: str) -> Sweep | None:
    """Read the manifest of a sweep; None if it is missing, damaged, or was made with another key."""
    try:
        content = json.loads((folder / "settings.json").read_text())
        if content["key"] != key:
            return None
        settings = Settings(content["settings"])
        # Check now for keys that are needed later.
        _ = settings.cluster["name"], settings.resources["name"], settings.asks_for_gpu, settings.nodes
        with (folder / "manifest.csv").open(newline="") as file:
            rows = [
                Row(Path(directory), model, int(epochs), command.removeprefix(PROGRAM))
                for directory, model, epochs, command in list(csv.reader(file))[1:]
            ]
        return Sweep(name, folder, rows, settings, key)
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None


def key_of(overrides: list[list[str]], configs: Path) -> str:
    """Return a hash of everything that determines the runs of a sweep: its overrides and the configuration files."""
    digest = sha256(json.dumps(overrides).encode())
    for path in sorted(configs.rglob("*.yaml")):
        if path.parent.name != "sweep":
            digest.update(path.read_bytes())
    return digest.hexdigest()
