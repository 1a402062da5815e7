import os

import torch

from wconv.experiment.benchmarks.machine import describe_machine

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile

processor\t: 1
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile
"""


def test_a_processor_is_described_by_what_its_speed_depends_on(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(XEON)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 7, 9})
    facts = describe_machine(tmp_path / "cpuinfo")
    assert facts["CPU"] == "Intel(R) Xeon(R) Platinum 8480+"
    assert facts["cores"] == "3"
    assert facts["threads of PyTorch"] == str(torch.get_num_threads())
    assert facts["instructions"].endswith("used by PyTorch; avx2, avx512f, avx512_bf16, amx_bf16")
    assert torch.__version__ in facts["versions"]


def test_a_machine_that_says_nothing_is_described_too(tmp_path):
    facts = describe_machine(tmp_path / "missing")
    assert facts["CPU"]
    assert "none of avx2" in facts["instructions"]


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA A100")
    assert describe_machine()["GPU"] == "NVIDIA A100"
