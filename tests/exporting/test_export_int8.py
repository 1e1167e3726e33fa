"""int8: calibrated once, its first layers put back, proven or refused by how much."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import openvino as ov
import pytest
from export_models import CLASSES, SIDE, quiet, stack_of
from onnx import ModelProto

import hilum
from hilum import phantom
from hilum.exporting import engines, onnx_file, proof, quantise
from hilum.exporting.export import ExportRequest, export
from hilum.exporting.proof import Limits


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """210 films in folders of two of the classes, and a text among them."""
    drawn = phantom.generate(
        phantom.Request(images=210, size=SIDE, seed=9, classes=("covid19", "normal"))
    )
    root = tmp_path_factory.mktemp("many")
    for i, (film, name) in enumerate(zip(drawn.images, drawn.table["label"], strict=True)):
        (root / name).mkdir(exist_ok=True)
        cv2.imwrite(str(root / name / f"patient{i}.png"), film)
    (root / "normal" / "text.png").write_text("no image")
    return root


@pytest.fixture(scope="module")
def whole(exported: Path) -> ModelProto:
    """The graph in fp32."""
    return onnx.load(exported / "model.onnx")


@pytest.fixture(scope="module")
def every_layer(whole: ModelProto, films: phantom.Phantom) -> ModelProto:
    """The same in int8."""
    return quantise.quantise(whole, stack_of(films)[:16], quiet("calibrate"))


def weights_in_int8(proto: ModelProto) -> int:
    """Initialisers of eight bits with more than one axis."""
    return sum(t.data_type == onnx.TensorProto.INT8 and len(t.dims) > 1
               for t in proto.graph.initializer)  # fmt: skip


@pytest.mark.slow
def test_the_first_layers_are_those_of_fp32(
    whole: ModelProto, every_layer: ModelProto, films: phantom.Phantom, tmp_path: Path
) -> None:
    stack, layers = stack_of(films)[20:50], quantise.layers(whole)
    want = engines.onnxruntime_rows(onnx_file.write(whole, tmp_path / "whole.onnx"))(stack)
    errors, quantised = [], []
    for kept in (0, len(layers) // 2, len(layers)):
        form = every_layer
        if kept:
            form = quantise.with_first_layers(every_layer, whole, layers[kept - 1])
            onnx.checker.check_model(form, full_check=True)
            used = {name for node in form.graph.node for name in node.input}
            assert {t.name for t in form.graph.initializer} <= used
            assert len({t.name for t in form.graph.initializer}) == len(form.graph.initializer)
        quantised.append(weights_in_int8(form))
        rows = engines.onnxruntime_rows(onnx_file.write(form, tmp_path / "form.onnx"))(stack)
        errors.append(np.abs(np.exp(rows) - np.exp(want))[:, : len(CLASSES)].max())
    assert quantised[0] > quantised[1] > quantised[2] == 0
    assert min(errors[:2]) > 1e-3
    assert errors[2] < 1e-5


@pytest.mark.slow
@pytest.mark.usefixtures("translated_once")
def test_one_calibration_and_a_few_images_rule_forms_out(
    folder: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No form may flip fewer than none: all four are tried, and only the last on every image."""
    sizes, calibrations = [], []
    original, original_quantise = engines.onnxruntime_rows, quantise.quantise

    def counting(path: Path) -> engines.Rows:
        rows = original(path)

        def answer(stack: np.ndarray) -> np.ndarray:
            sizes.append(len(stack))
            return rows(stack)

        return answer

    def calibrating(*args: object) -> ModelProto:
        calibrations.append(1)
        return original_quantise(*args)

    monkeypatch.setattr(engines, "onnxruntime_rows", counting)
    monkeypatch.setattr(quantise, "quantise", calibrating)
    monkeypatch.setattr(quantise, "CALIBRATED", 16)
    monkeypatch.setitem(proof.LIMITS, "int8", Limits(None, 0.002, -0.01, 0.05))
    with pytest.raises(
        proof.RefusedExportError,
        match=r"with \d+ of \d+ layers kept in fp32, .* decisions flip under .* --precision bf16",
    ):
        export(folder, tmp_path / "int8", ExportRequest("onnx", "int8", many), quiet)
    assert sizes == [64, 64, 64, 210]
    assert len(calibrations) == 1
    assert list((tmp_path / "int8").iterdir()) == []


@pytest.mark.usefixtures("translated_once")
def test_what_is_proven_is_a_model(
    folder: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits are wide: what a random network answers is not what is tested here."""
    monkeypatch.setattr(quantise, "CALIBRATED", 16)
    monkeypatch.setitem(proof.LIMITS, "int8", Limits(None, None, 1.0, 1.0))
    result = export(folder, tmp_path / "int8", ExportRequest("openvino", "int8", many), quiet)
    assert result.record["calibrated_on"] == 16
    assert result.record["layers_in_fp32"] == 0
    assert not result.record["proven_on_other_images"]  # 194 are left: too few
    kinds = {op.get_type_name() for op in ov.Core().read_model(result.graph).get_ops()}
    assert "FakeQuantize" in kinds
    assert hilum.load_model(result.folder).classes == CLASSES
