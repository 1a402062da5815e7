"""Compare several denoisers on a part of one image: python scripts/crops.py RUN RUN --image FILE --at 60 40 -o FILE."""

import argparse
import sys
from pathlib import Path

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.failures import configuration_errors
from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.library_output import format_warnings_as_one_line, quiet_libraries
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.text import escape_control_characters


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="The PSNR in the panel is that of the whole image, not of the part shown."
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, which train.py prints last")
    parser.add_argument("--image", required=True, type=Path, metavar="FILE", help="a clean image; noise is added to it")
    parser.add_argument("--at", nargs=2, type=int, default=(0, 0), metavar=("LEFT", "TOP"), help="corner of the part")
    parser.add_argument("--size", type=int, default=96, help="height and width of the part (%(default)s)")
    parser.add_argument("--sigma", type=float, default=25.0, help="noise level, on the 0-255 scale (%(default)s)")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="FILE", help="the panel (PNG)")
    options = parser.parse_args(arguments)
    format_warnings_as_one_line()
    try:
        with quiet_libraries(), configuration_errors():
            panel = draw(options)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(options.out, panel)
    except ConfigError as error:
        print(f"crops: {escape_control_characters(error)}", file=sys.stderr)
        return error.exit_code
    print(options.out)
    return 0


def draw(options: argparse.Namespace) -> bytes:
    """Return the panel: clean, noisy and denoised by each run, with the remaining errors below."""
    import torch  # slow imports are inside functions, so that --help is fast
    from torchvision.transforms.v2.functional import pil_to_tensor

    from datamodules.files.decode import open_image
    from wconv.experiment.inference.load import load_denoiser
    from wconv.experiment.reports.panels import encode_png, make_panel
    from wconv.experiment.tasks.image_quality import psnr
    from wconv.experiment.tasks.noise import GaussianNoise
    from wconv.experiment.tasks.tiles import denoise_tiled

    denoisers = [load_denoiser(run) for run in options.runs]
    if len({denoiser.channels for denoiser in denoisers}) > 1:
        raise ConfigError("some of the runs are for grey images and some for colour; name runs of one kind")
    image, _ = open_image(options.image, denoisers[0].channels)
    clean = pil_to_tensor(image).unsqueeze(0) / 255
    noisy = GaussianNoise(options.sigma).add_test_noise(clean, 0, 0)
    shown = {"clean": clean, f"noisy {psnr(noisy, clean):.2f} dB": noisy}
    for denoiser in denoisers:
        device = next(denoiser.model.parameters()).device
        with torch.inference_mode():
            denoised = denoise_tiled(denoiser.model, noisy.to(device), denoiser.max_pixels)[0].cpu().clamp(0, 1)
        shown[f"{denoiser.name} {psnr(denoised, clean):.2f} dB"] = denoised
    left, top = options.at
    part = (..., slice(top, top + options.size), slice(left, left + options.size))
    if min(clean[part].shape[-2:]) < options.size:
        height, width = clean.shape[-2:]
        raise ConfigError(f"--at {left} {top} --size {options.size} is not inside the image of {width}x{height} pixels")
    return encode_png(make_panel({title: pixels[part] for title, pixels in shown.items()}, errors_below=True, scale=2))


if __name__ == "__main__":
    sys.exit(main())
