"""Clean pictures with a trained denoiser: python scripts/denoise.py RUN photo.jpg holidays -o cleaned."""

import argparse
import sys
from pathlib import Path

from datamodules.files.listing import find_images
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.library_output import format_warnings_as_one_line
from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.inference.denoise_photos import denoise_photos
from wconv.experiment.inference.load import load_denoiser
from wconv.experiment.inference.photo_paths import plan

HINT = """
A denoiser is trained for one noise level, white Gaussian noise of one sigma. On other noise (less, more, blotches of
JPEG, the grain of a camera's own processing) the results are poor.

A picture keeps its size, file format, alpha channel, colour profile and EXIF data, as far as the format can; a line
for each says where it went and what is different. Exit codes: 0 all cleaned, 1 some failed, 2 nothing was started.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 if a picture failed, or 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=HINT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished denoising run")
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="a picture, or a folder of pictures")
    parser.add_argument("-o", "--out", type=Path, required=True, help="a folder, or a file for a single picture")
    parser.add_argument(
        "--sigma", type=float, default=0.0, help="first add white noise of this standard deviation, of 255, to try it"
    )
    options = parser.parse_args(arguments)
    format_warnings_as_one_line()
    try:
        if not 0 <= options.sigma <= 255:
            raise ConfigError(f"--sigma {options.sigma:g}: choose a number from 0 to 255")
        places = plan(options.inputs, options.out, find_images)
        denoiser = load_denoiser(options.run)
        make_room(next(iter(places)).parent if len(places) == 1 else options.out)
    except ConfigError as error:
        print(f"denoise: {escape_control_characters(error)}", file=sys.stderr)
        return 2
    print(f"{denoiser.name}: trained for noise of sigma {denoiser.sigma:g}", flush=True)
    tally = denoise_photos(places, denoiser, options.sigma)
    approximate = f", {tally.approximate} of them in approximate tiles" if tally.approximate else ""
    failed = f", {tally.failed} failed" if tally.failed else ""
    print(f"{tally.cleaned} of {len(places)} pictures cleaned{approximate}{failed}")
    return 1 if tally.failed else 0


def make_room(folder: Path) -> None:
    """Make the folder of the results.

    Raises:
        ConfigError: it cannot be made, and why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made ({error.strerror}); choose another place with -o") from error


if __name__ == "__main__":
    sys.exit(main())
