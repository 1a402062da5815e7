"""Describe the machine that a benchmark ran on: CPU, GPU and versions."""

import platform
from pathlib import Path

import torch

from wconv.experiment.common.cores import available_cores

# CPU flags of Linux that determine the speed of float32 and bfloat16.
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def describe_machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Return a description of the CPU, the GPU and the versions.

    Args:
        cpuinfo: CPU description of Linux; if it is missing, Python's own is used.
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
