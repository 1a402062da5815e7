"""Write batch files: fill the templates in slurm/ with the values of cluster, resources and sweep."""

import re
import shlex
import sys
from pathlib import Path

from wconv.experiment.common.checkout import ROOT
from wconv.experiment.sweep.manifest import Sweep

TEMPLATES = ROOT / "slurm"
PLACE = re.compile(r"@([a-z_]+)@")


def rows_per_task(sweep: Sweep, count: int) -> int:
    """Return the number of runs per task: its parallel runs, or more if the array would be too long."""
    return max(_runs_at_once(sweep, count), -(-count // int(sweep.settings.cluster["max_array_size"])))


def _runs_at_once(sweep: Sweep, count: int) -> int:
    most = int(sweep.settings.resources["runs_at_once"]) * sweep.settings.runs_per_gpu
    return max(1, min(most, count))  # do not pay for slots without a run


def fill_template(sweep: Sweep, folder: Path, count: int, root: Path) -> str:
    """Return the batch file of a launch.

    Args:
        sweep: that the launch belongs to.
        folder: of the launch.
        count: number of its runs.
        root: folder of train.py.

    Raises:
        ValueError: settings contradict each other.
    """
    cluster, resources = sweep.settings.cluster, sweep.settings.resources
    processes, nodes, at_once = sweep.settings.processes, sweep.settings.nodes, _runs_at_once(sweep, count)
    tasks = -(-count // rows_per_task(sweep, count))
    is_distributed, is_shared = processes * nodes > 1, sweep.settings.runs_per_gpu > 1
    if is_shared:
        _check_shared(sweep)
    if is_distributed and at_once > 1:
        raise ValueError(
            f"resources.runs_at_once={at_once} is for runs of one process; these have trainer.devices={processes} on "
            f"trainer.num_nodes={nodes}"
        )
    if cluster["restart"] not in ("requeue", "chain"):
        raise ValueError(f"cluster.restart={cluster['restart']}: expected requeue or chain")
    on_node = processes * (1 if is_shared else at_once)
    gpus = resources["gpus"]
    values = {
        "job_name": _quoted(f"wconv-{sweep.name}"),
        **{name: value and _quoted(value) for name in ("account", "partition", "qos") for value in [cluster[name]]},
        "walltime": resources["walltime"],
        "array": f"0-{tasks - 1}" + (f"%{cluster['max_running']}" if cluster["max_running"] else ""),
        "nodes": nodes,
        "processes": processes,
        "runs_at_once": at_once,
        "cpus": resources["cpus"],
        "threads": max(1, int(resources["cpus"]) // at_once),
        "node_memory": f"{resources['memory_gb'] * on_node}G",
        "memory": f"{resources['memory_gb']}G",
        "node_gres": f"gpu:{gpus * on_node}" if gpus else None,
        "gres": f"gpu:{gpus}" if gpus else "none",
        "output": _quoted(f"{folder}/logs/".replace("%", "%%") + ("job-%j.log" if tasks == 1 else "job-%A_%a.log")),
        "warn_seconds": cluster["warn_seconds"],
        "requeue": "requeue" if cluster["restart"] == "requeue" else "no-requeue",
        "root": _quoted(root),
        "python": _quoted(cluster["python"] or sys.executable),
        "program": sweep.program,
        "folder": _quoted(folder),
        "restart": cluster["restart"],
        "max_restarts": cluster["max_restarts"],
        "modules": shlex.join(cluster["modules"]) or None,
        "environment": shlex.join(f"{name}={value}" for name, value in cluster["environment"].items()) or None,
        "sweep": _quoted(sweep.name),
    }
    kind = "ddp" if is_distributed else "shared" if is_shared else "array" if tasks > 1 or at_once > 1 else "run"
    text = (TEMPLATES / f"{kind}.sbatch").read_text()
    return _put_in(text.replace("@common@", (TEMPLATES / "common.sh").read_text().strip()), values)


def _check_shared(sweep: Sweep) -> None:
    """Refuse to let runs share a GPU if a run or a job has several GPUs, or none.

    Raises:
        ValueError: a setting does not allow it; the message names it.
    """
    resources, trainer = sweep.settings.resources, sweep.settings.values
    wrong = {
        "trainer.devices": trainer["trainer.devices"],
        "trainer.num_nodes": trainer["trainer.num_nodes"],
        "resources.gpus": resources["gpus"],
        "resources.runs_at_once": resources["runs_at_once"],
    }
    for key, value in wrong.items():
        if int(value) != 1:
            raise ValueError(
                f"resources.runs_per_gpu={sweep.settings.runs_per_gpu} is for runs of one process in jobs of one GPU; "
                f"it needs {key}=1, not {value}"
            )


def _put_in(text: str, values: dict[str, object]) -> str:
    """Fill the placeholders; a line with a placeholder that has no value is dropped."""
    lines = []
    for line in text.splitlines():
        names = PLACE.findall(line)
        if all(name not in values or values[name] is not None for name in names):
            lines.append(PLACE.sub(lambda found: str(values.get(found[1], found[0])), line))
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    return shlex.quote(str(value))
