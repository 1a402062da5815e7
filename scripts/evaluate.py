"""Evaluate a trained denoiser: python scripts/evaluate.py RUN --data FOLDER --sigma 15 25 50."""

import argparse
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.failures import advise, configuration_errors
from wconv.experiment.common.first_imports import without_collections
from wconv.experiment.common.library_output import format_warnings_as_one_line, quiet_libraries
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.text import escape_control_characters

if TYPE_CHECKING:
    from datamodules.denoising import DenoisingDataModule
    from wconv.experiment.inference.load import Denoiser

# Imports that need PyTorch are inside functions, so that --help does not wait for them.


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Without --data, the test images of the run. The results are added to the run's evaluation.json.",
    )
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="folder of a run, which train.py prints last")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="in place of RUN: a file of weights (docs/weights.md)"
    )
    parser.add_argument("--data", nargs="+", type=Path, metavar="FOLDER", help="images; each folder is a set")
    parser.add_argument(
        "--sigma", nargs="+", type=float, metavar="S", help="noise levels, 0-255 scale (default: that of the training)"
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="compute in bfloat16: faster, and PSNR differs by about 0.01 dB",
    )
    options = parser.parse_args(arguments)
    with without_collections():
        from wconv.experiment.inference.evaluate import evaluate, mean_metrics, to_markdown, update_evaluation

    format_warnings_as_one_line()
    try:
        with quiet_libraries(), configuration_errors():
            denoiser = _denoiser(options)
            sigmas = options.sigma or [denoiser.sigma]
            for sigma in sigmas:
                if not 0 <= sigma < float("inf"):
                    raise ConfigError(f"--sigma {sigma:g}: a noise level is a number from 0")
            # In a run folder from elsewhere, nothing but evaluation.json is written.
            with tempfile.TemporaryDirectory() as store_dir:
                with nullcontext() if options.data else advise("name the test images with --data FOLDER"):
                    data = _data(denoiser, options.data, store_dir)
                    data.load_test()
                rows = mean_metrics(evaluate(denoiser, data, sigmas, options.fast))
            print(to_markdown(rows))
            if options.run:
                update_evaluation(rows, options.run / "evaluation.json")
    except ConfigError as error:
        print(f"evaluate: {escape_control_characters(error)}", file=sys.stderr)
        return error.exit_code
    return 0


def _denoiser(options: argparse.Namespace) -> "Denoiser":
    from wconv.experiment.inference.load import load_checkpoint, load_denoiser, run_of

    if (options.run is None) == (options.checkpoint is None):
        raise ConfigError("name either the folder of a run or, with --checkpoint, a file of weights")
    if options.run:
        return load_denoiser(options.run)
    if not options.data and not run_of(options.checkpoint):
        raise ConfigError("a file of weights says nothing of images: name some with --data")
    denoiser = load_checkpoint(options.checkpoint)
    print(escape_control_characters(denoiser.recognised))
    return denoiser


def _data(denoiser: "Denoiser", folders: list[Path] | None, store_dir: str) -> "DenoisingDataModule":
    from datamodules.image_folder import ImageFolder, list_images
    from wconv.experiment.tasks.instantiate import instantiate_group

    if folders:
        for folder in folders:
            list_images(folder, "--data")
        tests = [str(folder) for folder in folders]
        sizes = {"batch_size": 1, "patch_size": 1, "patches_per_epoch": 1}
        return ImageFolder("", None, tests, store_dir, seed=0, channels=denoiser.channels, **sizes)
    config = denoiser.config.datamodule
    if "store_dir" in config:
        config.store_dir = store_dir
    return instantiate_group(config)


if __name__ == "__main__":
    sys.exit(main())
