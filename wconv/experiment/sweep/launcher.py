"""The second way to a cluster, Hydra's launcher: SLURM is asked before anything is submitted."""

import tempfile
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from wconv.experiment.errors import ConfigError
from wconv.experiment.overrides import CONFIG_NAME, LAUNCHER
from wconv.experiment.sweep import slurm


def ask(arguments: list[str], configs: Path) -> str:
    """Let SLURM judge the jobs of a grid.

    Args:
        arguments: of train.py, checked.
        configs: folder of the configuration.

    Returns:
        A sentence on where to look; empty where no launcher of ours was chosen.

    Raises:
        ConfigError: there is no SLURM, or it would refuse the jobs, and which setting it means.
    """
    if [word for word in arguments if word.startswith("-")] != ["--multirun"]:
        return ""
    overrides = [word for word in arguments if not word.startswith("-")]
    lines = [line for line in OverridesParser.create().parse_overrides(overrides) if not line.is_sweep_override()]
    chosen = next((line.value() for line in lines if line.key_or_group == LAUNCHER), None)
    if not (configs / LAUNCHER / f"{chosen}.yaml").exists():
        return ""
    with initialize_config_dir(str(configs), version_base="1.3"):
        config = compose(CONFIG_NAME, [str(line.input_line) for line in lines], return_hydra_config=True)
    cluster, resources = (OmegaConf.to_container(config[group]) for group in ("cluster", "resources"))
    assert isinstance(cluster, dict)
    assert isinstance(resources, dict)
    named = {str(key): value for key, value in cluster.items()}, {str(key): value for key, value in resources.items()}
    try:
        slurm.check_time(*named)
        with tempfile.NamedTemporaryFile("w", suffix=".sbatch") as script:
            script.write("#!/bin/bash\n")
            script.flush()
            shape = {"nodes": config.trainer.num_nodes, "ntasks-per-node": config.trainer.devices}
            shape |= {"mem": f"{config.resources.memory_gb}G"}
            slurm.submit(Path(script.name), *named, *slurm.options(*named, **shape), "--test-only")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    folder = Path(config.paths.output_dir)
    return (
        f"SLURM gets the runs as an array; batch file and logs are in {folder / 'submitit'}. This command waits until "
        f"the last one has ended; then: python scripts/compare.py {folder}"
    )
