"""Hydra's submitit launcher: test a grid with SLURM before it is submitted, and set up its jobs."""

import shlex
import sys
import tempfile
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from wconv.experiment.command_line.overrides import LAUNCHER
from wconv.experiment.common.checkout import CONFIG_NAME
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.sweep.manifest import SHARED_KEYS
from wconv.experiment.sweep.slurm import commands as slurm


def job_setup(modules: list[str], environment: dict[str, object]) -> str:
    """Return the lines that prepare a job in its batch file, like slurm/common.sh.

    Args:
        modules: loaded if there is a `module` command.
        environment: more variables, by name.
    """
    lines = []
    if modules:
        lines.append(f"if command -v module >/dev/null; then module load {shlex.join(modules)} || exit 1; fi")
    if environment:
        lines.append(f"export {shlex.join(f'{name}={value}' for name, value in environment.items())}")
    lines.append("export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK")  # srun does not inherit it from the job
    lines.append('[ -n "$OMP_NUM_THREADS" ] || export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK')
    # Hydra would resolve ${ as an interpolation again; it occurs only in quoted values, which may be split.
    return "\n".join(lines).replace("${", "$''{")


def check_grid_submission(arguments: list[str], configs: Path) -> str:
    """Let SLURM validate the jobs of a grid.

    Args:
        arguments: of train.py, checked.
        configs: folder of the configuration.

    Returns:
        A sentence on where to look; empty unless one of our launchers was chosen.

    Raises:
        ConfigError: the launcher does not support the request, there is no SLURM, or it would refuse the jobs; the
            message names the setting.
    """
    OmegaConf.register_new_resolver("job_setup", job_setup, replace=True)
    if [word for word in arguments if word.startswith("-")] != ["--multirun"]:
        return ""
    overrides = [word for word in arguments if not word.startswith("-")]
    parsed = OverridesParser.create().parse_overrides(overrides)
    lines = [line for line in parsed if not line.is_sweep_override()]
    chosen = next((line.value() for line in lines if line.key_or_group == LAUNCHER), None)
    if not (configs / LAUNCHER / f"{chosen}.yaml").exists():
        return ""
    for key in (line.key_or_group for line in parsed if line.is_sweep_override()):
        if key in SHARED_KEYS or key.startswith(("cluster.", "resources.")):
            raise ConfigError(f"the runs of a grid are one array and share {key}: name one value, or make two grids")
    with initialize_config_dir(str(configs), version_base="1.3"):
        config = compose(CONFIG_NAME, [str(line.input_line) for line in lines], return_hydra_config=True)
    _check_single_process(config)
    cluster, resources = (OmegaConf.to_container(config[group]) for group in ("cluster", "resources"))
    assert isinstance(cluster, dict)
    assert isinstance(resources, dict)
    named = {str(key): value for key, value in cluster.items()}, {str(key): value for key, value in resources.items()}
    try:
        slurm.check_time(*named)
        with tempfile.NamedTemporaryFile("w", suffix=".sbatch") as script:
            script.write("#!/bin/bash\n")
            script.flush()
            slurm.submit(Path(script.name), *named, *slurm.options(*named), "--test-only")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    folder = Path(config.paths.output_dir)
    return (
        f"SLURM gets the runs as an array; batch file and logs are in {folder / 'submitit'}. This command waits until "
        f"the last one has ended; then: python scripts/compare.py {folder}"
    )


def _check_single_process(config: DictConfig) -> None:
    """Refuse settings that submitit would not respect.

    Raises:
        ConfigError: the runs have several processes, share a GPU, or need another interpreter.
    """
    # Each submitit task sees only its own GPU, and Lightning counts the visible ones.
    if (config.trainer.devices, config.trainer.num_nodes) != (1, 1):
        raise ConfigError(
            f"trainer.devices={config.trainer.devices} on trainer.num_nodes={config.trainer.num_nodes}: Hydra's "
            "launcher takes runs of one process; use scripts/sweep.py for several"
        )
    if (config.resources.runs_per_gpu or 1) > 1:
        raise ConfigError(
            f"resources.runs_per_gpu={config.resources.runs_per_gpu}: Hydra's launcher gives a run a GPU of its own; "
            "use scripts/sweep.py"
        )
    if config.cluster.python not in (None, sys.executable):
        raise ConfigError(
            f"cluster.python={config.cluster.python}: Hydra's launcher starts the jobs with the interpreter that "
            f"submits; submit with {config.cluster.python} and cluster.python=null, or use scripts/sweep.py"
        )
