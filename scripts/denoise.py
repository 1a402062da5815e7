"""Clean photos with a trained denoiser: python scripts/denoise.py RUN photo.jpg holidays -o cleaned."""

import argparse
import sys
from pathlib import Path

from datamodules.files.listing import find_images
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.first_imports import without_collections
from wconv.experiment.common.library_output import format_warnings_as_one_line
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.text import escape_control_characters

HINT = """
A denoiser is trained for white Gaussian noise, of one sigma or of a range. On other noise (less, more, blotches of
JPEG, the grain of a camera's own processing) the results are poor.

A picture keeps its size, file format, alpha channel, colour profile and EXIF data, as far as the format allows; a line
for each names the output file and what is different. Exit codes: 0 all cleaned, 1 some failed, 2 nothing was started.
"""


@tolerate_closed_output(drop_lines=True)
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 if a picture failed, or 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s (RUN | --checkpoint FILE) IN [IN ...] -o OUT [--sigma SIGMA]",
        description=__doc__,
        epilog=HINT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="RUN IN",
        help="the folder of a finished denoising run, and photos or folders of photos",
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="in place of RUN: a file of weights (docs/weights.md)"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="a folder, or a file for a single picture")
    parser.add_argument(
        "--sigma", type=float, default=0.0, help="add white noise of this sigma (0-255 scale) first, for a test"
    )
    parser.add_argument(
        "--fast", action="store_true", help="compute in bfloat16: faster, and pixels may differ slightly"
    )
    options = parser.parse_intermixed_args(arguments)
    format_warnings_as_one_line()
    runs, inputs = ([], options.paths) if options.checkpoint else (options.paths[:1], options.paths[1:])
    if not inputs:
        parser.error("the following arguments are required: IN")
    # Imported here, so that --help does not wait seconds for PyTorch.
    with without_collections():
        from wconv.experiment.inference.denoise_photos import denoise_photos
        from wconv.experiment.inference.load import load_checkpoint, load_denoiser
        from wconv.experiment.inference.photo_paths import plan

    try:
        if not 0 <= options.sigma <= 255:
            raise ConfigError(f"--sigma {options.sigma:g}: choose a number from 0 to 255")
        places = plan(inputs, options.out, find_images)
        denoiser = load_denoiser(runs[0]) if runs else load_checkpoint(options.checkpoint)
        make_room(next(iter(places)).parent if len(places) == 1 else options.out)
    except ConfigError as error:
        print(f"denoise: {escape_control_characters(error)}", file=sys.stderr)
        return 2
    if runs or denoiser.config:
        print(f"{denoiser.name}: trained for noise of sigma {denoiser.sigma:g}", flush=True)
    else:
        print(escape_control_characters(denoiser.recognised))
        print("the file does not say for which noise it was trained", flush=True)
    tally = denoise_photos(places, denoiser, options.sigma, options.fast)
    approximate = f", {tally.approximate} of them approximately, in tiles" if tally.approximate else ""
    failed = f", {tally.failed} failed" if tally.failed else ""
    print(f"{tally.cleaned} of {len(places)} photos cleaned{approximate}{failed}")
    return 1 if tally.failed else 0


def make_room(folder: Path) -> None:
    """Make the output folder.

    Raises:
        ConfigError: it cannot be made; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made ({error.strerror}); choose another place with -o") from error


if __name__ == "__main__":
    sys.exit(main())
