"""The output of train.py --help and --cfg job.

Hydra's own help would take seconds here, because it reads each of the many groups twice.
"""

from argparse import Namespace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

HELP = """\
Train a backbone with standard or weighted convolutions, test it, and keep everything in a run folder.

Usage:    python train.py [GROUP=CHOICE ...] [KEY=VALUE ...]

  python train.py model=vgg conv=weighted                       the main job: VGG-16 on CIFAR-100
  python train.py model=resnet model.depth=20 seed=1            another backbone, another seed
  python train.py conv=weighted conv.density.k3=[0.9]           another density
  python train.py fast=true                                     in bfloat16: faster; counts as a different run
  python train.py -m conv=standard,weighted seed=0,1,2          a grid, one run after the other
  python train.py experiment=quickstart                         a minute, no download
  python scripts/sweep.py smoke --local 2                       many runs at once: a file of configs/sweep
  python scripts/search.py search=walk model=vgg                which density? a method of configs/search

The same command finds the same run folder: a finished run is shown, an unfinished one is resumed.

Groups (choose with GROUP=CHOICE):

{groups}

Keys and their values (change with KEY=VALUE, e.g. trainer.max_epochs=10; the keys follow the choices made, and
comments in configs/GROUP/CHOICE.yaml explain them):

{config}
Exit codes: 0 done, 1 the run failed, 2 the configuration or the data is wrong,
75 interrupted (resume with the same command).
More options: -m (a grid), --cfg job (the configuration alone), --hydra-help (the rest).
"""


def text_to_show(options: Namespace, config: DictConfig, configs: Path) -> str:
    """Return the text for --help or --cfg job; empty if neither was given.

    Args:
        options: of train.py.
        config: the composed configuration.
        configs: its folder.
    """
    if options.help:
        return HELP.format(groups=_groups(configs), config=OmegaConf.to_yaml(config, resolve=options.resolve))
    if options.cfg == "job":
        part = OmegaConf.select(config, options.package) if options.package else config
        header = f"# @package {options.package}\n" if options.package else ""
        return header + OmegaConf.to_yaml(part, resolve=options.resolve)
    return ""


def _groups(configs: Path) -> str:
    choices = {
        folder.name: sorted(str(file.relative_to(folder).with_suffix("")) for file in folder.rglob("*.yaml"))
        for folder in sorted(configs.iterdir())
        if folder.is_dir() and folder.name not in ("hydra", "search", "sweep")  # the last two are for scripts
    }
    return "\n".join(f"{group}: {', '.join(names)}" for group, names in choices.items())
