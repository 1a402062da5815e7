"""Build the W&B workspace of a comparison and save it: python scripts/wandb_dashboard.py --entity TEAM."""

import argparse
import json
import os
import sys

from wconv.experiment.common.output import tolerate_closed_output

os.environ.setdefault("WANDB_SILENT", "true")  # print nothing but the address


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 if W&B refused, 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entity", help="team or user (default: your own)")
    parser.add_argument("--project", default="wconv", help="whose runs are shown (default: wconv)")
    parser.add_argument("--name", default="standard against weighted", help="of the workspace")
    parser.add_argument("--sweep", help="show the runs of this sweep alone")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="test sets whose images are shown")
    parser.add_argument(
        "--by", nargs="+", metavar="KEY", help="keys that define a group (default: model.name conv.name init.name)"
    )
    parser.add_argument("--json", action="store_true", help="print it and save nothing; needs neither network nor key")
    options = parser.parse_args(arguments)
    try:
        from wconv.experiment.reports.wandb.dashboard import BY, SETS, dashboard
    except ModuleNotFoundError as error:
        print(f'wandb_dashboard: needs {error.name}: pip install -e ".[experiment,dashboard]"', file=sys.stderr)
        return 2
    chosen = (options.project, options.name, options.sweep, options.sets or SETS, options.by or BY)
    if options.json:
        from wconv.experiment.reports.wandb.private import as_plain_values

        workspace = dashboard(options.entity or "", *chosen)
        print(json.dumps(as_plain_values(workspace), indent=2))
        return 0
    from wconv.experiment.reports.wandb.server import unreachable_reason

    if reason := unreachable_reason():
        print(f"wandb_dashboard: cannot be saved: {reason}; --json prints it without contacting W&B", file=sys.stderr)
        return 2
    import wandb

    try:
        entity = options.entity or wandb.Api().default_entity
        print(dashboard(entity, *chosen).save().url)
    except Exception as error:  # any error that the server answers with
        print(f"wandb_dashboard: W&B refused it ({' '.join(str(error).split())})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
