"""Run the commands of SLURM, and translate their answers to keys of the configuration."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Patterns of sbatch errors, and the setting that each is about.
REFUSALS = {
    r"[Ii]nvalid account": "cluster.account={account} is none that you may use in this partition; "
    "`sacctmgr show associations user=$USER format=account` lists yours (on Leonardo: `saldo -b`)",
    r"[Ii]nvalid partition": "cluster.partition={partition} does not exist; `sinfo -s` lists those that do",
    r"[Ii]nvalid qos": "cluster.qos={qos} is none that cluster.account={account} may use; "
    "`sacctmgr show qos format=name,maxwall` lists them",
    r"time limit|TimeLimit|MaxWall": "resources.walltime={walltime} is longer than cluster.partition={partition} and "
    "cluster.qos={qos} allow",
    r"[Nn]ode configuration|[Mm]emory (spec|required)|[Tt]oo many|gres|GRES|CPU count|More processors": "no node of "
    "cluster.partition={partition} has what a job asks for; see resources.gpus, resources.cpus, resources.memory_gb, "
    "resources.runs_at_once and trainer.devices",
    r"QOS policy": "cluster.qos={qos} does not allow so large or so long a job; see resources.walltime={walltime}, "
    "trainer.num_nodes, trainer.devices, and the number of jobs that you have",
    r"job array": "cluster.max_array_size={max_array_size} is more than this SLURM takes; "
    "`scontrol show config | grep MaxArraySize` says how many",
}


PATIENCE_SECONDS = 120

# Explanations of the reasons that squeue gives for waiting.
REASONS = {
    "None": "in the queue",
    "Priority": "in the queue behind others",
    "Resources": "in the queue, next when there is room",
    "JobArrayTaskLimit": "in the queue, held back by cluster.max_running",
    "Dependency": "in the queue, after the job before it",
    "BeginTime": "in the queue again, in a moment",
}


@dataclass(frozen=True)
class Queued:
    """A task of a job that is queued or running.

    Attributes:
        state: SLURM's name of the state.
        reason: SLURM's name of the reason why it waits.
        job: its own job id, which differs from the id of its array.
    """

    state: str
    reason: str
    job: str = ""

    @property
    def words(self) -> str:
        """Why it waits."""
        return REASONS.get(self.reason, f"in the queue ({self.reason})")

    @property
    def waits(self) -> bool:
        """Whether it waits for its start or restart."""
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")


def run_slurm(*command: str, stdin: str | None = None) -> str:
    """Run a command of SLURM and return what it prints.

    Raises:
        ValueError: the command is missing, or failed; the message has its error.
    """
    if shutil.which(command[0]) is None:
        raise ValueError(f"there is no {command[0]} here: this machine has no SLURM; --local N runs a sweep without")
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            env=environment_outside_job(),
            timeout=PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{command[0]} did not answer within {PATIENCE_SECONDS} s; try again later") from None
    if done.returncode:
        raise ValueError(" ".join((done.stderr or done.stdout).split()) or f"{command[0]} failed")
    return done.stdout + done.stderr


def environment_outside_job() -> dict[str, str]:
    """Return the environment without job variables, which a job submitted from within a job would inherit."""
    inherited = ("SLURM", "SBATCH", "SRUN", "PMI", "PMIX")
    kept = ("SLURM_CONF",)
    return {name: value for name, value in os.environ.items() if name in kept or not name.startswith(inherited)}


def submit(script: Path, cluster: dict[str, object], resources: dict[str, object], *options: str) -> str:
    """Submit a batch file and return the job id, or with --test-only the answer of sbatch.

    Raises:
        ValueError: SLURM refuses it; the message names the setting.
    """
    try:
        return run_slurm("sbatch", "--parsable", *options, str(script)).strip()
    except ValueError as error:
        raise ValueError(explain_refusal(str(error), {**cluster, **resources})) from None


def options(cluster: dict[str, object], resources: dict[str, object], **more: object) -> list[str]:
    """Return the options of sbatch for a job with one process or several.

    Args:
        cluster: account, partition and QOS.
        resources: cores, memory and GPUs per process, and the walltime.
        **more: further options, `ntasks-per-node` among them.
    """
    on_node = int(str(more.get("ntasks-per-node", 1)))
    given = {name: cluster[name] for name in ("account", "partition", "qos")}
    given |= {"time": resources["walltime"], "nodes": 1, "ntasks-per-node": 1, "cpus-per-task": resources["cpus"]}
    given |= {"mem": f"{int(str(resources['memory_gb'])) * on_node}G"}
    gpus = int(str(resources["gpus"])) * on_node
    given |= {"gres": f"gpu:{gpus}" if gpus else None} | more
    return [f"--{name}={value}" for name, value in given.items() if value is not None]


def explain_refusal(message: str, settings: dict[str, object]) -> str:
    """Translate an error of SLURM to the setting that it is about."""
    shown = {name: "null" if value is None else value for name, value in settings.items()}
    for pattern, sentence in REFUSALS.items():
        if re.search(pattern, message):
            return f"{sentence.format(**shown)} (sbatch: {_last_sentence(message)})"
    return f"SLURM refuses the job: {_last_sentence(message)}"


def _last_sentence(message: str) -> str:
    return re.split(r"(?:sbatch|allocation failure): (?:error: )?", message)[-1].strip() or message


def check_time(cluster: dict[str, object], resources: dict[str, object]) -> None:
    """Check the walltime against the limits of partition and QOS; at some sites, a job over them waits forever.

    Raises:
        ValueError: it is too long, too short to save a checkpoint, or not in the format of SLURM.
    """
    asked = parse_time_limit(str(resources["walltime"]))
    if not asked:
        raise ValueError(
            f"resources.walltime={resources['walltime']} is no time; write [days-]hours:minutes:seconds, e.g. 12:00:00"
        )
    warning = int(str(cluster["warn_seconds"]))
    if not 0 < warning < asked:
        raise ValueError(
            f"cluster.warn_seconds={warning}: a run is told to save this long before its time ends; expected a number "
            f"of seconds between 0 and {asked} (resources.walltime={resources['walltime']})"
        )
    limits = {}
    if partition := cluster["partition"]:
        limits["cluster.partition", partition] = _field(
            r"\bMaxTime=(\S+)", "scontrol", "show", "partition", f"{partition}"
        )
    if qos := cluster["qos"]:
        # A QOS may override the limit of its partition.
        shown = _field(r"^([^|\n]*\|[^|\n]*)", "sacctmgr", "-nP", "show", "qos", f"{qos}", "format=maxwall,flags")
        wall, _, flags = shown.partition("|")
        limits["cluster.qos", qos] = wall
        if "PartitionTimeLimit" in flags:
            limits.pop(("cluster.partition", partition), None)
    for (name, value), text in limits.items():
        limit = parse_time_limit(text)
        if limit is not None and asked > limit:
            raise ValueError(
                f"resources.walltime={resources['walltime']} is longer than {name}={value} allows, which is {text}"
            )


def _field(pattern: str, *command: str) -> str:
    try:
        found = re.search(pattern, run_slurm(*command))
    except ValueError:
        return ""
    return found[1] if found else ""


def parse_time_limit(text: str) -> int | None:
    """Parse a SLURM time, days-hours:minutes:seconds or a shorter form, into seconds."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not found:
        return None
    days, first, second, third = (int(part) if part else 0 for part in found.groups())
    if found[4] is not None or found[1] is not None:
        return ((days * 24 + first) * 60 + second) * 60 + third
    return first * 60 + second  # minutes, or minutes:seconds


def queue() -> dict[tuple[str, int], Queued]:
    """Return the queued and running tasks of the user, by job id and task; a job without an array is task 0."""
    lines = run_slurm("squeue", "--me", "--noheader", "--array", "--format=%F|%K|%T|%r|%A").splitlines()
    found = {}
    for line in lines:
        parts = line.split("|")
        if len(parts) == 5:
            found[parts[0], int(parts[1]) if parts[1].isdigit() else 0] = Queued(*parts[2:])
    return found


def final_states(jobs: list[str]) -> dict[tuple[str, int], str]:
    """Return the final state of tasks, if SLURM keeps accounting; the last entry of each task counts."""
    if not jobs:
        return {}
    try:
        text = run_slurm("sacct", "-nPX", "-j", ",".join(jobs), "--format=JobID,State")
    except ValueError:
        return {}
    found: dict[tuple[str, int], str] = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"(\d+)(?:_(\d+|\[.*\]))?\|(\w+)( by \d+)?", line):
            found |= {(match[1], task): match[3] for task in _tasks(match[2] or "0")}
    return found


def _tasks(text: str) -> Iterator[int]:
    """Yield the tasks in one line of squeue: 7, or, if none has started yet, [3,5-11%2]."""
    for first, last in re.findall(r"(?<![%\d])(\d+)(?:-(\d+))?", text):
        yield from range(int(first), int(last or first) + 1)
