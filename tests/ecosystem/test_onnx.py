"""ONNX: the graph holds W * Phi as a constant product, with sizes that may change, and is a valid model."""

import copy

import pytest
import torch
import torchvision

import wconv

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.ecosystem


@pytest.mark.parametrize("kind", ["fixed", "trained", "folded"])
def test_a_resnet_with_dynamic_sizes(kind, tmp_path):
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=3).eval()
    wconv.convert(model, {3: [0.7], 7: [0.25, 0.15, 0.55]}, trainable=kind == "trained")
    reference = copy.deepcopy(model)
    if kind == "folded":
        wconv.fold(model)
    file = tmp_path / "model.onnx"
    sizes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    batch = torch.randn(2, 3, 64, 64)
    torch.onnx.export(model, (batch,), file, dynamo=True, verbose=False, dynamic_shapes=(sizes,))
    onnx.checker.check_model(str(file))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for images in (batch, torch.randn(1, 3, 96, 72)):
        (output,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        torch.testing.assert_close(torch.from_numpy(output), reference(images).detach(), rtol=1e-3, atol=1e-4)
