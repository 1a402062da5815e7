"""The machine that a benchmark ran on, as far as its figures depend on it."""

import platform
from pathlib import Path

import torch

from wconv.experiment.common.cores import available_cores

# Which instructions decide how fast float32 and bfloat16 are, as Linux calls them.
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def describe_machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Return what a reader needs to know of the processor, the GPU, and the versions.

    Args:
        cpuinfo: where Linux describes its processors; elsewhere there is none, and Python's words are taken.
    """
    facts: dict[str, str] = {}
    if cpuinfo.exists():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        facts = {name.strip(): value.strip() for name, _, value in lines}
    flags = facts.get("flags", facts.get("Features", "")).split()
    return {
        "CPU": facts.get("model name") or platform.processor() or platform.machine(),
        "cores": str(available_cores()),
        "threads of PyTorch": str(torch.get_num_threads()),
        "instructions": f"{torch.backends.cpu.get_cpu_capability()} used by PyTorch; "
        + (", ".join(flag for flag in FLAGS if flag in flags) or "none of " + ", ".join(FLAGS)),
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "versions": f"torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}",
    }
