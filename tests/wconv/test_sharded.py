"""FSDP2 and tensor parallelism, in two processes on the CPU: what a sharded network computes, prints and folds to."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Replicate, distribute_module, distribute_tensor

import wconv
from wconv.modules import Weighted

DENSITY = {3: [0.7], 5: [0.2, 0.8]}
PLAIN_KEYS = ["0.weight", "0.bias", "2.weight", "2.bias"]
CASES = [(trainable, dtype) for trainable in (False, True) for dtype in (None, torch.bfloat16)]
both = pytest.mark.parametrize("trainable", [False, True], ids=["fixed", "trained"])


def plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 5, padding=2))


def network(trainable: bool) -> nn.Module:
    return wconv.convert(plain(), DENSITY, trainable=trainable)


def images() -> torch.Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def shard(model: nn.Module, layers: bool = True, **kwargs: Any) -> nn.Module:
    for layer in (model[0], model[2]) if layers else ():
        fully_shard(layer, **kwargs)
    return fully_shard(model, **kwargs)


def mixed_precision(trainable: bool, dtype: torch.dtype | None) -> dict[str, Any]:
    model, reference = network(trainable), network(trainable)
    shard(model, **({} if dtype is None else {"mp_policy": MixedPrecisionPolicy(param_dtype=dtype)}))
    output, expected = model(images()), reference(images())
    for each in (output.float(), expected):
        each.square().mean().backward()
    gradients = [parameter.grad.full_tensor() for parameter in model.parameters()]
    found = {"output": output, "expected": expected, "gradients": gradients}
    found["expected gradients"] = [parameter.grad for parameter in reference.parameters()]
    return found


def printed(trainable: bool) -> dict[str, Any]:
    model = shard(network(trainable))
    found = {"repr": repr(model[2]), "summary": str(wconv.summary(model)), "rank": dist.get_rank()}
    if dist.get_rank() == 1:
        found["repr of one process alone"] = repr(model)  # would wait for ever for the other one
    found["coefficients"] = model[2].coefficients
    return found


def folded(trainable: bool, layers: bool, run_before: bool) -> dict[str, Any]:
    model = network(trainable)
    if trainable:
        with torch.no_grad():
            model[2].density_coefficients.copy_(torch.tensor([0.3, 0.9]))
    expected = model(images())
    shard(model, layers)
    with torch.no_grad():
        if run_before:  # the outermost module keeps its whole parameters then
            model(images())
        wconv.fold(model)
        outputs = [model(images()) for _ in range(2)]
    found = {"expected": expected, "outputs": outputs, "weighted": [isinstance(m, Weighted) for m in model.modules()]}
    found["sharded"] = [isinstance(model[index], FSDPModule) for index in (0, 2)]
    found["state"] = {key: entry.full_tensor() for key, entry in model.state_dict().items()}
    model(images()).sum().backward()  # it trains on as a plain one
    return found


def started_on_meta(trainable: bool, assign: bool) -> dict[str, Any]:
    with torch.device("meta"):
        model = network(trainable)
    shard(model)
    if assign:
        own = model.state_dict()
        state = plain().state_dict()
        spread = {k: distribute_tensor(v, own[k].device_mesh, own[k].placements) for k, v in state.items()}
        model.load_state_dict(spread, strict=False, assign=True)
    else:
        model.to_empty(device="cpu")
        for layer in (model[0], model[2]):
            layer.reset_parameters()
        full = [(layer.weight.full_tensor(), layer.bias.full_tensor()) for layer in (model[0], model[2])]
    reference = network(trainable)
    if not assign:
        with torch.no_grad():
            for layer, (weight, bias) in zip((reference[0], reference[2]), full, strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
    return {"output": model(images()), "expected": reference(images())}


def gradient_factor(mesh: DeviceMesh) -> float:
    """Return 2 for PyTorch up to 2.10, which adds up the gradients of a replicated plain convolution, else 1."""
    alone, replicated = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 1, 1)
    distribute_module(replicated, mesh)
    alone(images()).sum().backward()
    replicated(distribute_tensor(images(), mesh, [Replicate()])).sum().backward()
    return round(float(replicated.bias.grad.full_tensor() / alone.bias.grad))


def tensor_parallel(trainable: bool) -> dict[str, Any]:
    model, reference = network(trainable), network(trainable)
    mesh = init_device_mesh("cpu", (2,))
    distribute_module(model, mesh)
    output = model(distribute_tensor(images(), mesh, [Replicate()]))
    output.sum().backward()
    expected = reference(images())
    expected.sum().backward()
    gradients = [parameter.grad.full_tensor() for parameter in model.parameters()]
    expected_gradients = [parameter.grad * gradient_factor(mesh) for parameter in reference.parameters()]
    folded = wconv.fold(copy.deepcopy(model))(distribute_tensor(images(), mesh, [Replicate()]))
    return {
        "outputs": [output.full_tensor(), folded.full_tensor()], "expected": expected,
        "gradients": gradients, "expected gradients": expected_gradients, "summary": str(wconv.summary(model)),
    }  # fmt: skip


def trained_after_sharding() -> dict[str, Any]:
    model = shard(plain())
    try:
        wconv.convert(model, DENSITY, trainable=True)
    except ValueError as error:
        message = str(error)
    fixed = wconv.convert(shard(plain()), DENSITY)
    return {"message": message, "output": fixed(images()), "expected": network(False)(images())}


FOLDS = [(t, layers, run) for t in (False, True) for layers in (False, True) for run in (False, True)]


def worker(rank: int, directory: Path) -> None:
    """Compute everything in one of two processes; this file is its own worker script."""
    dist.init_process_group("gloo", init_method=f"file://{directory / 'rendezvous'}", rank=rank, world_size=2)
    found = {
        "mixed": {case: mixed_precision(*case) for case in CASES},
        "printed": {trainable: printed(trainable) for trainable in (False, True)},
        "folded": {case: folded(*case) for case in FOLDS},
        "meta": {(t, assign): started_on_meta(t, assign) for t in (False, True) for assign in (False, True)},
        "parallel": {trainable: tensor_parallel(trainable) for trainable in (False, True)},
        "late": trained_after_sharding(),
    }
    found = torch.utils._pytree.tree_map_only(torch.Tensor, torch.Tensor.detach, found)
    torch.save(found, directory / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What both processes found."""
    directory = tmp_path_factory.mktemp("sharded")
    workers = [subprocess.Popen([sys.executable, __file__, str(rank), str(directory)]) for rank in range(2)]
    try:
        assert [process.wait(180) for process in workers] == [0, 0]
    finally:
        for process in workers:
            process.kill()
    return [torch.load(directory / f"{rank}.pt", weights_only=False) for rank in range(2)]


def assert_close(left: object, right: object, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_sharded_network_computes_and_trains_the_same(results, case):
    for found in (result["mixed"][case] for result in results):
        assert found["output"].dtype == (case[1] or torch.float32)
        assert_close(found["output"].float(), found["expected"], 1e-6 if case[1] is None else 1e-2)
        assert_close(found["gradients"], found["expected gradients"], 1e-6 if case[1] is None else 2e-2)


@both
def test_nobody_has_to_be_asked_for_what_is_printed(results, trainable):
    for found in (result["printed"][trainable] for result in results):
        assert ("density=sharded" if trainable else "density=[0.2, 0.8]") in found["repr"]
        assert ("sharded over processes" if trainable else "5x5     0.2, 0.8") in found["summary"]
        assert found["coefficients"] == (pytest.approx((0.2, 0.8)),) * 2


@pytest.mark.parametrize("case", FOLDS, ids=lambda case: "-".join(map(str, case)))
def test_a_sharded_network_folds_and_stays_folded(results, case):
    for found in (result["folded"][case] for result in results):
        assert not any(found["weighted"])
        assert found["sharded"] == [case[1]] * 2
        assert list(found["state"]) == PLAIN_KEYS
        model = plain()
        model.load_state_dict(found["state"])
        for output in (*found["outputs"], model(images())):
            assert_close(output, found["expected"])


@pytest.mark.parametrize("assign", [False, True])
@both
def test_layers_that_start_on_meta(results, trainable, assign):
    for found in (result["meta"][trainable, assign] for result in results):
        assert_close(found["output"], found["expected"])


@both
def test_tensor_parallelism(results, trainable):
    for found in (result["parallel"][trainable] for result in results):
        for output in found["outputs"]:
            assert_close(output, found["expected"])
        assert_close(found["gradients"], found["expected gradients"], 1e-4)
        assert "0.2, 0.8" in found["summary"]


def test_converting_what_is_sharded(results):
    for found in (result["late"] for result in results):
        assert "convert first, then fully_shard" in found["message"]
        assert_close(found["output"], found["expected"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    worker(int(sys.argv[1]), Path(sys.argv[2]))
