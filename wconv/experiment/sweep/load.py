"""Load a sweep by its name and further overrides: from its manifest, or by expanding it again."""

import os
import re
from contextlib import chdir
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from wconv.experiment.common.first_imports import without_collections
from wconv.experiment.sweep.manifest import Sweep, key_of, read_sweep
from wconv.experiment.sweep.sweep_file import OUTPUT_DIR_KEY, SweepFile, read_sweep_file

# Characters that would end or change a quoted text in Hydra's grammar or a line of a table; others are fine in names.
UNREADABLE = re.compile(r"['\\\x00-\x1f]|\$\{")
OTHER = re.compile(r"\$\{(?!oc\.env:)")  # any interpolation but of an environment variable


def load_sweep(name: str, more: list[str], root: Path, *, refresh: bool, without_data: bool = False) -> Sweep:
    """Return a sweep, without writing any file.

    Args:
        name: of a file in configs/sweep, or the path of a file.
        more: overrides that hold for every run; relative paths among them start at the current folder.
        root: folder of train.py.
        without_data: see `expand`.
        refresh: expand it even if there is a manifest, since the data may have changed.

    Raises:
        ValueError: there is no such sweep, or its file is wrong.
        ConfigError: one of its runs is invalid.
    """
    spec = read_sweep_file(name, root / "configs" / "sweep")
    output_dir = _output_dir(spec, more, root)
    folder = output_dir / "sweeps" / spec.name
    lines = spec.lines([*more, f"{OUTPUT_DIR_KEY}='{output_dir}'"])
    key = key_of(lines, root / "configs")
    if not refresh and (written := read_sweep(spec.name, folder, key)):
        return written
    # Imported here, because Lightning is slow to import and the status of a sweep does not need it.
    with without_collections():
        from wconv.experiment.command_line.override_paths import absolute_overrides
        from wconv.experiment.command_line.shorthand import expand_fast
        from wconv.experiment.sweep.expand import expand

    lines = spec.lines([*absolute_overrides(more), f"{OUTPUT_DIR_KEY}='{output_dir}'"])
    with chdir(root):
        lines = [[_unquoted(entry) for entry in absolute_overrides(expand_fast(line))] for line in lines]
    rows, settings = expand(lines, root, without_data=without_data)
    return Sweep(spec.name, folder, rows, settings, key)


def _unquoted(override: str) -> str:
    """Remove quotes that neither Hydra nor a shell needs."""
    return re.sub(r"='([\w/.-]+)'$", r"=\1", override)


def _output_dir(spec: SweepFile, more: list[str], root: Path) -> Path:
    """Return the folder of all runs; a sweep has one, which overrides that of an experiment.

    Raises:
        ValueError: it depends on values that may differ between runs, or Hydra could not read it.
        ConfigError: it would reveal a secret.
    """
    default = yaml.safe_load((root / "configs" / "paths" / "default.yaml").read_text())["output_dir"]
    chosen = root / default
    for base, overrides in ((root, spec.overrides), (Path.cwd(), more)):
        for override in overrides:
            key, _, value = override.partition("=")
            if key == OUTPUT_DIR_KEY:
                chosen = base / Path(_resolved(value.strip("'\""))).expanduser()
    folder = os.path.abspath(chosen)
    if found := UNREADABLE.search(folder):
        raise ValueError(
            f"{OUTPUT_DIR_KEY}={folder!r}: the runs could not read a folder with {found[0]!r} in its name; "
            "choose another"
        )
    return Path(folder)


def _resolved(value: str) -> str:
    """Resolve environment variables, as train.py would: the manifest must lie where the runs do."""
    if "${" not in value:
        return value
    # Imported here, because some of it imports Lightning, which takes seconds.
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from wconv.experiment.command_line.secrets import forbid_secret_interpolation
    from wconv.experiment.common.exceptions import ConfigError

    if OTHER.search(value):
        raise ValueError(
            f"{OUTPUT_DIR_KEY}={value}: a sweep has one folder; the only interpolation in its name may be "
            "${oc.env:NAME}"
        )
    forbid_secret_interpolation()
    try:
        content = OmegaConf.to_container(OmegaConf.create([value]), resolve=True)
    except OmegaConfBaseException as error:
        if isinstance(error.__cause__, ConfigError):
            raise error.__cause__ from None
        reason = str(error).splitlines()[0].rpartition("interpolation: ")[2]
        raise ValueError(f"{OUTPUT_DIR_KEY}={value}: {reason}") from error
    assert isinstance(content, list)
    return str(content[0])
