"""Write a trained network for other programs: python scripts/export.py RUN -o network.onnx."""

import argparse
import sys
from pathlib import Path

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.failures import configuration_errors
from wconv.experiment.common.first_imports import without_collections
from wconv.experiment.common.library_output import format_warnings_as_one_line, quiet_libraries
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.text import escape_control_characters

HINT = """
The network of the best epoch is written with plain convolutions (wconv.fold), so .onnx and .pt2 files can be used
without this project. The network takes images (N, C, H, W) of any number and size, prepared as in training: for a
denoiser, noisy pixels in [0, 1]; for a classifier, pixels minus datamodule.mean, divided by datamodule.std. Before the
file is put in place, it is read back and its outputs are compared with those of the run.
"""


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=HINT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run, which train.py prints last")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="ends in .onnx, .safetensors or .pt2 (torch.export)",
    )
    options = parser.parse_args(arguments)
    # Imported here, so that --help does not wait seconds for PyTorch.
    with without_collections():
        from wconv.experiment.inference.export import check_format, export
        from wconv.experiment.inference.load import load_network

    format_warnings_as_one_line()
    try:
        with quiet_libraries(), configuration_errors():
            check_format(options.out)
            difference = export(load_network(options.run), options.out)
    except ConfigError as error:
        print(f"export: {escape_control_characters(error)}", file=sys.stderr)
        return error.exit_code
    print(f"{options.out}: computes what the run does (largest difference: {difference:.1e} times the largest output)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
