"""What PyTorch does with modules, it does with these: compile, export, distribute, copy, save, cast."""

import copy
import functools
import io
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import wconv
from wconv import Bounded, Positive, WeightedConv2d

DENSITY = {3: [0.7], 5: [0.2, 0.8]}
ALPHA = torch.tensor([0.7, 1, 0.7], dtype=torch.float64)
PHI_3 = torch.outer(ALPHA, ALPHA)
both = pytest.mark.parametrize("trainable", [False, True], ids=["fixed", "trained"])


def plain() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 5, padding=2, groups=2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 2))


def network(trainable: bool = False) -> nn.Module:
    return wconv.convert(plain(), DENSITY, trainable=trainable, parametrization=Positive() if trainable else None)


def images(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def gradients(model: nn.Module) -> list[torch.Tensor]:
    found = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None for gradient in found)
    return found


def assert_close(left: object, right: object, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)


@pytest.fixture
def nothing_compiled():
    """Forget what other tests compiled: all networks share their code, which PyTorch compiles eight times at most."""
    torch.compiler.reset()


@both
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.usefixtures("nothing_compiled")
def test_compiles_as_one_graph(backend, trainable):
    model = network(trainable)
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True, backend=backend)
    for module in (model, compiled):
        module(images()).square().sum().backward()
    assert_close(compiled(images()), model(images()))
    assert_close(gradients(compiled), gradients(model))


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile's own backend needs a C++ compiler")
@both
@pytest.mark.usefixtures("nothing_compiled")
def test_compiles_with_inductor_and_keeps_the_keys(trainable):
    model = network(trainable)
    other, keys = copy.deepcopy(model), list(model.state_dict())
    model.compile(fullgraph=True)
    for module in (model, other):
        module(images()).square().sum().backward()
    assert_close(model(images()), other(images()))
    assert_close(gradients(model), gradients(other))
    assert list(model.state_dict()) == keys


@both
@pytest.mark.parametrize("strict", [False, True])
def test_exports(strict, trainable):
    model = network(trainable).eval()
    program = torch.export.export(model, (images(),), strict=strict)
    assert torch.equal(program.module()(images()), model(images()))
    assert set(program.state_dict) == set(model.state_dict())


@pytest.mark.parametrize("kind", ["fixed", "trained", "folded"])
def test_onnx_gives_the_same_outputs(kind, tmp_path):
    model = network(kind == "trained").eval()
    expected = model(images()).detach()
    if kind == "folded":
        wconv.fold(model)
    file = tmp_path / "model.onnx"
    torch.onnx.export(model, (images(),), file, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: images().numpy()})
    assert_close(torch.from_numpy(output), expected)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@both
def test_folded_models_are_ones_that_torchscript_takes(trainable):
    model = network(trainable).eval()
    expected = model(images())
    wconv.fold(model)
    for scripted in (torch.jit.script(model), torch.jit.trace(model, images())):
        buffer = io.BytesIO()
        torch.jit.save(scripted, buffer)
        buffer.seek(0)
        assert torch.equal(torch.jit.load(buffer)(images()), expected)


@both
def test_autocast_computes_in_bfloat16_from_the_exact_product(trainable):
    layer = WeightedConv2d(3, 4, 3, density=[0.7], trainable_density=trainable)
    other = wconv.fold(copy.deepcopy(layer))
    with torch.autocast("cpu", torch.bfloat16):
        output, expected = layer(images()), other(images())
    assert output.dtype == torch.bfloat16
    assert torch.equal(output, expected)
    output.float().square().sum().backward()
    assert all(gradient.dtype == torch.float32 for gradient in gradients(layer))


@both
def test_functional_call_takes_other_parameters(trainable):
    model, other = network(trainable), network(trainable)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    assert torch.equal(torch.func.functional_call(model, dict(other.named_parameters()), (images(),)), other(images()))


@both
def test_gradients_of_single_samples(trainable):
    model = network(trainable)
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(parameters: dict[str, torch.Tensor], image: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, parameters, (image[None],)).square().sum()

    mapped = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, images(3))
    for index, image in enumerate(images(3)):
        model.zero_grad()
        model(image[None]).square().sum().backward()
        assert_close([mapped[name][index] for name in parameters], gradients(model))


@both
def test_an_ensemble_under_vmap(trainable):
    models = [network(trainable) for _ in range(3)]
    with torch.no_grad():
        for index, model in enumerate(models):
            next(model.parameters()).mul_(index)
    state, batch = torch.func.stack_module_state(models), images()
    outputs = torch.func.vmap(lambda *state: torch.func.functional_call(models[0], state, (batch,)))(*state)
    assert_close(outputs, torch.stack([model(batch) for model in models]))


def train_steps(model: nn.Module, batch: torch.Tensor) -> None:
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(3):
        optimiser.zero_grad()
        model(batch).square().mean().backward()
        optimiser.step()


def distributed_worker(rank: int, directory: Path) -> None:
    """Train both kinds of density in one of two processes; this file is its own worker script."""
    dist.init_process_group("gloo", init_method=f"file://{directory / 'rendezvous'}", rank=rank, world_size=2)
    for trainable in (False, True):
        model = network(trainable)
        if rank == 1:  # DDP sends the weights of the first process, so what the second starts from is without effect
            with torch.no_grad():
                next(model.parameters()).zero_()
        train_steps(DistributedDataParallel(model), images().chunk(2)[rank])
        torch.save(model.state_dict(), directory / f"{trainable}-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def distributed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ddp")
    workers = [subprocess.Popen([sys.executable, __file__, str(rank), str(directory)]) for rank in range(2)]
    try:
        assert [worker.wait(120) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    return directory


@both
def test_two_processes_train_like_one(trainable, distributed):
    first, second = (torch.load(distributed / f"{trainable}-{rank}.pt") for rank in range(2))
    model = network(trainable)
    start = copy.deepcopy(model.state_dict())
    train_steps(model, images())
    assert all(torch.equal(first[key], second[key]) for key in start)
    assert_close(first, dict(model.state_dict()), 1e-6)
    assert not any(torch.equal(first[key], start[key]) for key in start)


def through_torch_save(model: nn.Module) -> nn.Module:
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@both
@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), through_torch_save],
    ids=["deepcopy", "pickle", "torch.save"],
)
def test_copies_are_whole_and_their_own(duplicate, trainable):
    model = network(trainable)
    twin = duplicate(model)
    expected = model(images())
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    assert torch.equal(twin(images()), expected)
    assert torch.equal(twin.double()[0].density.detach(), PHI_3) or trainable
    assert str(wconv.summary(twin)) == str(wconv.summary(network(trainable)))
    train_steps(twin, images().double())


@both
def test_from_meta_by_assignment(trainable):
    model = network(trainable)
    with torch.device("meta"):
        empty = network(trainable)
    assert empty[0].density.is_meta
    empty.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(empty(images()), model(images()))
    train_steps(empty, images())


@pytest.mark.parametrize("parametrization", [None, Positive(), Bounded(0.0, 2.0)])
@pytest.mark.parametrize("assign", [False, True])
def test_a_plain_checkpoint_fills_a_trained_model_from_meta_at_its_start(assign, parametrization):
    convert = functools.partial(
        wconv.convert, density=DENSITY, trainable=True, parametrization=parametrization, include=["0", "2"]
    )
    with torch.device("meta"):
        empty = convert(plain())
    if not assign:
        empty.to_empty(device="cpu")
    empty.load_state_dict(plain().state_dict(), assign=assign)
    assert torch.equal(empty(images()), convert(plain())(images()))


@both
def test_to_empty_fills_the_density_again(trainable):
    with torch.device("meta"):
        model = network(trainable)
    model.to_empty(device="cpu")
    assert_close(model[0].density.detach().double(), PHI_3, 1e-6)
    for layer in (model[0], model[2], model[4]):
        layer.reset_parameters()
    assert model(images()).isfinite().all()
    assert list(model.state_dict()) == list(network(trainable).state_dict())


def test_reset_parameters_starts_a_trained_density_again():
    layer = WeightedConv2d(2, 2, 3, density=[0.7], trainable_density=True, parametrization=Positive())
    with torch.no_grad():
        layer.density_coefficients.zero_()
    layer.reset_parameters()
    assert_close(layer.density.detach().double(), PHI_3, 1e-6)


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16])
def test_phi_is_rounded_from_the_exact_values(dtype):
    layer = WeightedConv2d(2, 2, 3, density=[0.7]).to(dtype)
    assert torch.equal(layer.density, PHI_3.to(dtype))  # 0.7 * 0.7 in half precision would be another number
    assert not torch.equal(layer.density[0, 0], layer.density[0, 1] * layer.density[0, 1])
    assert torch.equal(layer.double().density, PHI_3)  # there and back again without loss


if __name__ == "__main__":
    torch.set_num_threads(1)
    distributed_worker(int(sys.argv[1]), Path(sys.argv[2]))
