"""The rooms of wconv/experiment and of datamodules: who may import whom, as CONTRIBUTING.md draws it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = ROOT / "wconv" / "experiment"
MAY_IMPORT = {
    "common": set(),
    "command_line": {"common"},
    "runs": {"common"},
    "tasks": {"common", "wconv"},
    "reports": {"common", "runs"},
    "training": {"common", "runs", "tasks", "reports"},
    "inference": {"common", "runs", "tasks"},
    # A search ends with the statistics of compare.py, and is submitted by what submits a sweep.
    "search": {"common", "command_line", "runs", "tasks", "reports", "sweep", "wconv", "wconv.experiment"},
    "sweep": {"common", "command_line", "runs", "tasks", "wconv.experiment"},
    "benchmarks": {"common", "command_line", "runs", "tasks", "training", "inference", "wconv"},
}
HEAVY = {
    "torch",
    "torchvision",
    "torchmetrics",
    "pytorch_lightning",
    "lightning_fabric",
    "hydra",
    "pandas",
    "matplotlib",
}


def imports(file: Path, at_import_time: bool = False) -> Iterator[tuple[str, str]]:
    """Yield module and name of every import; of those within a function too, unless only import time counts."""
    tree = ast.parse(file.read_text())
    lazy = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef)
        or (isinstance(outer, ast.If) and ast.unparse(outer.test).endswith("TYPE_CHECKING"))
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if at_import_time and id(node) in lazy:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            yield from ((str(node.module), alias.name) for alias in node.names)


def room_of(module: str) -> str:
    """Return the room a module of ours lies in; "wconv" for the operator, nothing for a library."""
    parts = module.split(".")
    if parts[:2] == ["wconv", "experiment"]:
        return parts[2] if len(parts) > 2 else "wconv.experiment"
    return parts[0] if parts[0] in ("wconv", "models", "datamodules", "scripts", "train") else ""


FILES = sorted(EXPERIMENT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(EXPERIMENT).as_posix())
def test_a_file_imports_what_its_room_may(file):
    inside = file.relative_to(EXPERIMENT).parts
    if len(inside) == 1:  # __init__.py, which holds the function `run` above all rooms
        return
    room = inside[0]
    for module, name in imports(file):
        target = room_of(f"{module}.{name}" if module in ("wconv", "wconv.experiment") and name != "run" else module)
        allowed = {"", room, *MAY_IMPORT[room]}
        assert target in allowed, f"{room} imports {module}"
        private = name.startswith("_") or any(part.startswith("_") for part in module.split("."))
        assert not private or target in ("", room), f"{module}.{name} is private"


def test_there_are_few_rooms_and_nothing_beside_them():
    rooms = {path.name for path in EXPERIMENT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= MAY_IMPORT.keys()
    assert len(rooms) <= 10
    assert [path.name for path in EXPERIMENT.glob("*.*")] == ["__init__.py"]


@pytest.mark.parametrize("file", sorted((EXPERIMENT / "common").glob("*.py")), ids=lambda file: file.name)
def test_common_imports_nothing_heavy(file):
    assert not {module.split(".")[0] for module, _ in imports(file, at_import_time=True)} & HEAVY


@pytest.mark.parametrize(
    "file", sorted(ROOT.glob("datamodules/*/*.py")), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_what_data_sets_are_made_of_does_not_know_them(file):
    for module, _ in imports(file):
        if module.split(".")[0] == "datamodules":
            assert module.split(".")[1] in ("batching", "files"), module


@pytest.mark.parametrize("file", sorted([*ROOT.glob("models/*.py"), *ROOT.glob("datamodules/**/*.py")]), ids=str)
def test_backbones_and_data_sets_do_not_know_the_experiment(file):
    assert not [module for module, _ in imports(file) if module.split(".")[0] in ("wconv", "scripts", "train")]
    assert "models" not in file.parts or not [m for m, _ in imports(file) if m.split(".")[0] == "datamodules"]


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after some code."""
    shown = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{shown}"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["common.exceptions", "common.metrics", "runs.arm_styles"])
def test_exceptions_and_names_import_nothing_heavy(module):
    assert not modules_after(f"import wconv.experiment.{module}") & (HEAVY | {"omegaconf", "yaml", "numpy"})


@pytest.mark.parametrize("argument", ["--help", "--cfg=job", "model=vg"])
def test_help_and_refusals_import_neither_pytorch_nor_lightning(argument):
    code = (
        f"import sys; sys.argv = ['train.py', {argument!r}]; import train\ntry: train.main()\nexcept SystemExit: pass"
    )
    assert not modules_after(code) & {"torch", "pytorch_lightning", "torchvision", "pandas", "matplotlib", "wandb"}
