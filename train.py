"""Train a backbone with standard or weighted convolutions: `python train.py model=vgg conv=weighted`.

compose -> build -> convert -> fit -> test -> results.json
"""

import signal
import sys
from pathlib import Path

EARLY_SIGNALS: list[int] = []
if __name__ == "__main__":
    # The imports below take seconds. A signal that comes meanwhile is noted, and acted upon after them.
    for stopping in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(stopping, lambda number, _: EARLY_SIGNALS.append(number))

import pytorch_lightning as pl
from omegaconf import DictConfig

from wconv.experiment import build, outcome, preflight
from wconv.experiment.cli import launch
from wconv.experiment.errors import while_building
from wconv.experiment.rules import check_values
from wconv.experiment.run import Run
from wconv.experiment.wandb_callback import wandb_closed

ROOT = Path(__file__).resolve().parent


def train(composed: DictConfig) -> None:
    """Train and test one configuration, or show its result if that is done already."""
    with while_building():
        check_values(composed)
        build.check_fit(composed)
        config = build.with_absolute_paths(composed, ROOT)
        pl.seed_everything(config.seed, verbose=False)
        data = build.make(config.datamodule)
        run = Run(composed, data.fingerprint(), Path(config.paths.output_dir))
        if run.is_completed and not config.force:
            outcome.show_again(run)
            return
        data.load()
        preflight.check(config, run, data)
        model = build.build_model(config, **data.model_arguments)
        macs = build.count_macs(model, data.channels, data.image_size)
        task = build.build_task(config, model, **data.task_arguments)
        trainer = build.build_trainer(config, run, task)
    with wandb_closed(trainer), run.held() as to_do:
        if to_do:
            resume = outcome.resume_point(run, trainer)
            trainer.fit(task, data, ckpt_path=resume, weights_only=True)
            trainer.test(task, data, ckpt_path=outcome.best_checkpoint(run), weights_only=True, verbose=False)
            outcome.complete(run, trainer, task, macs)
    outcome.show(run)


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    return launch(train, ROOT / "configs", EARLY_SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
