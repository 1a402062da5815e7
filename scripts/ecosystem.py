"""Test tools and models for docs/ecosystem.md: `python scripts/ecosystem.py tools models` (six minutes)."""

import argparse
import contextlib
import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from wconv.experiment.common.output import tolerate_closed_output

if TYPE_CHECKING:
    from torch import nn

# Slow imports are inside functions, so that --help does not wait for them.

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "ecosystem.md"
DENSITY = {3: [0.7], 5: [0.2, 0.8], 7: [0.25, 0.15, 0.55]}


def tools() -> str:
    """Return the table of tools."""
    import pandas as pd

    from tests.ecosystem.tools import TOOLS, installed, verdict

    rows = []
    for tool in TOOLS:
        print(tool.package, tool.name, file=sys.stderr, flush=True)
        outcome, said = verdict(tool)
        rows.append(
            {"from": installed(tool.package), "tool": tool.name, "weighted model": outcome, "what it says": said}
        )
    return pd.DataFrame(rows).to_markdown(index=False)


def networks() -> Iterator[tuple[str, "nn.Module"]]:
    """Build every model of timm and torchvision, without allocating large weights."""
    import timm
    import torch
    import torchvision
    from torch.overrides import TorchFunctionMode

    class EmptyOnMeta(TorchFunctionMode):
        """Allocate no memory for large parameters."""

        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            return func(*args, **({**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}))

    for name in timm.list_models():
        with torch.device("meta"):
            yield f"timm {version('timm')}", timm.create_model(name)
    module = torchvision.models
    for part in (module, module.video, module.segmentation, module.detection, module.optical_flow):
        for name in torchvision.models.list_models(module=part):
            source = f"torchvision {version('torchvision').split('+')[0]}"
            options = {"weights_backbone": None} if part in (module.segmentation, module.detection) else {}
            options |= (
                {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
            )  # minutes on a slow path
            # Constructors of classifiers compute with small tensors, those of detectors run a whole network.
            with contextlib.nullcontext() if part is module.detection else EmptyOnMeta():
                yield source, torchvision.models.get_model(name, weights=None, **options).to("meta")


def models() -> str:
    """Return the table of models, and the table of their layer classes."""
    import pandas as pd

    import wconv
    from wconv.modules import Weighted
    from wconv.timm_layers import SUBCLASSES

    coverage: dict[str, Counter[str]] = defaultdict(Counter)
    layers: dict[str, Counter[str]] = defaultdict(Counter)
    for number, (source, model) in enumerate(networks()):
        if number % 100 == 0:
            print(number, "models", file=sys.stderr, flush=True)
        kinds = {name: type(module).__name__ for name, module in model.named_modules()}
        before: set[str] = set()
        for how, subclasses in (("convert", {}), ("convert with SUBCLASSES", SUBCLASSES)):
            wconv.convert(model, DENSITY, subclasses=subclasses)
            fitting = [name for name, module in model.named_modules() if _fits(module)]
            done = {name for name in fitting if isinstance(model.get_submodule(name), Weighted)}
            coverage[f"{source}, {how}"][_share(len(done), len(fitting))] += 1
            for name in done - before:
                layers[kinds[name]][how] += 1
            before |= done
        for name in set(fitting) - before:
            layers[kinds[name]]["left alone"] += 1
    shares = ["in whole", "in part", "not at all", "no such kernel"]
    first = pd.DataFrame([{"models of": key, **{s: count[s] for s in shares}} for key, count in coverage.items()])
    outcomes = ["convert", "convert with SUBCLASSES", "left alone"]
    ordered = sorted(layers.items(), key=lambda item: -item[1].total())
    second = pd.DataFrame([{"class": f"`{kind}`", **{o: count[o] for o in outcomes}} for kind, count in ordered])
    return f"{first.to_markdown(index=False)}\n\n{second.to_markdown(index=False)}"


def _fits(module: "nn.Module") -> bool:
    from wconv.report import kernel_size_of

    size = kernel_size_of(module)
    return size is not None and len(set(size)) == 1 and size[0] in DENSITY


def _share(done: int, fitting: int) -> str:
    if not fitting:
        return "no such kernel"
    return "in whole" if done == fitting else "in part" if done else "not at all"


def write(what: str, table: str) -> None:
    """Insert a table at its place on the page."""
    before, start, rest = PAGE.read_text().partition(f"<!-- {what}: made by scripts/ecosystem.py -->")
    _, end, after = rest.partition(f"<!-- end of {what} -->")
    PAGE.write_text(f"{before}{start}\n\n{table}\n\n{end}{after}")


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Build the requested tables and write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="+", choices=["tools", "models"])
    options = parser.parse_args(arguments)
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.simplefilter("ignore")
    for what in options.what:
        write(what, {"tools": tools, "models": models}[what]())
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
