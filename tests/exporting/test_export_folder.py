"""An exported folder: its files, its proof, its answers, and what is refused."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import openvino as ov
import pytest
from export_models import CLASSES, SIDE, quiet, stack_of

import hilum
from hilum import phantom
from hilum.exporting import bf16, engines, onnx_file, packages, proof
from hilum.exporting.export import ExportRequest, export
from hilum.inference import exported as exports
from hilum.inference import model_json
from hilum.inference.digest import model_digest
from hilum.types import HilumError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "exported_model.py"


@pytest.fixture(scope="module")
def files(films: phantom.Phantom, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twelve films of several shapes as PNG, and one as a large JPEG."""
    root = tmp_path_factory.mktemp("films")
    shapes = [(96, 96), (130, 97), (80, 140), (300, 211)]
    for i, film in enumerate(films.images[:12]):
        height, width = shapes[i % len(shapes)]
        cv2.imwrite(str(root / f"{i:02}.png"), cv2.resize(film, (width, height)))
    cv2.imwrite(str(root / "large.jpg"), cv2.resize(films.images[20], (500, 430)))
    return sorted(root.iterdir())


def read_json(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def test_the_folder_holds_graph_record_proof_and_what_was_seen(
    exported: Path, folder: Path
) -> None:
    names = {path.name for path in exported.iterdir()}
    assert names == {"model.onnx", "model.json", "preparation.json", "proof.json", "seen.csv"}
    record = read_json(exported, "preparation.json")
    assert record["notice"] == hilum.NOTICE
    assert record["classes"] == CLASSES
    assert record["steps"] == [{"step": "resize", "side": SIDE}]
    assert record["opset"] == 18
    assert set(record["abstention"]["possible_from"]) == set(CLASSES)
    assert record["weights_digest"] == model_digest(folder)


def test_the_proof_is_within_its_limits(exported: Path) -> None:
    proven = read_json(exported, "proof.json")
    assert proven["images"] >= 200
    assert [row["engine"] for row in proven["engines"]] == ["torch", "ONNX Runtime", "OpenVINO"]
    for row in proven["engines"]:
        assert 0 <= row["largest_change"] <= 1e-4
        assert row["decisions"] == row["refusals"] == row["abstentions"] == 0
        assert row["auroc"] is not None
        assert row["version"]
    assert proven["processor"]


def test_onnx_says_all_that_the_record_says_and_nothing_of_this_machine(exported: Path) -> None:
    model = onnx.load(exported / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    record = read_json(exported, "preparation.json")
    texts = {item.key: item.value for item in model.metadata_props}
    assert set(texts) == {f"hilum.{key}" for key in record}
    for key, value in record.items():
        text = texts[f"hilum.{key}"]
        assert (text if isinstance(value, str) else json.loads(text)) == value
    raw = (exported / "model.onnx").read_bytes()
    for word in (str(Path(hilum.__file__).parent), "site-packages", str(Path.home()), ".py"):
        assert word.encode() not in raw
    assert not any(item.external_data for item in model.graph.initializer)


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(exported: Path, folder: Path, tmp_path: Path) -> None:
    again = export(folder, tmp_path / "again", ExportRequest(), quiet).folder
    assert (again / "model.onnx").read_bytes() == (exported / "model.onnx").read_bytes()
    assert read_json(again, "preparation.json") == read_json(exported, "preparation.json")


def test_an_export_answers_as_its_model(exported: Path, folder: Path, files: list[Path]) -> None:
    whole, graph = hilum.load_model(folder), hilum.load_model(exported)
    for path in files:
        want, got = whole.predict(path), graph.predict(path)
        assert (got.label, got.abstained, got.reason) == (want.label, want.abstained, want.reason)
        for name in CLASSES:
            assert abs(got.probabilities[name] - want.probabilities[name]) < 1e-5
    together = graph.predict(files)
    assert [a.probabilities for a in together] == [graph.predict(f).probabilities for f in files]


def test_an_export_explains_as_its_model(
    exported: Path, folder: Path, files: list[Path], tmp_path: Path
) -> None:
    whole, graph = hilum.load_model(folder), hilum.load_model(exported)
    shown = 0
    for path in files[:3]:
        for class_ in CLASSES:
            want, got = (model.explain(path, class_=class_) for model in (whole, graph))
            assert got.probability == pytest.approx(want.probability, abs=1e-5)
            assert np.abs(got.array - want.array).max() < 1e-3
            shown += got.array.any()
    assert shown
    with pytest.raises(HilumError, match=r"heat maps by gradcam only; got method 'hirescam'"):
        graph.explain(files[0], method="hirescam")
    network = onnx.load(exported / "model.onnx")
    kept = [output for output in network.graph.output if output.name != "heat"]
    del network.graph.output[:]
    network.graph.output.extend(kept)
    onnx.save(network, tmp_path / "model.onnx")
    with pytest.raises(HilumError, match=r"output heat; got one without, .* model folder"):
        exports.compiled_heat(tmp_path / "model.onnx", graph.trained.pipeline)


def test_the_example_without_hilum_gives_the_same_digits(
    exported: Path, files: list[Path], tmp_path: Path
) -> None:
    code = "import sys; sys.modules['hilum'] = sys.modules['torch'] = None; import runpy; "
    code += f"sys.argv = sys.argv[1:]; runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(EXAMPLE), str(exported), *map(str, files)],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[:2] == [read_json(exported, "preparation.json")["verdict"], hilum.NOTICE]
    assert len(lines) == len(files) + 2
    model = hilum.load_model(exported)
    rows = engines.onnxruntime_rows(exported / "model.onnx")
    stopped = 0
    for path, line in zip(files, lines[2:], strict=True):
        want = model.predict(path)
        prepared = model._prepared(path).pixels
        p = np.exp(rows(prepared[None])[0, : len(CLASSES)])
        name, *values = line.split()[: 1 + len(CLASSES)]
        assert name == path.name
        got = [float(value.partition("=")[2]) for value in values]
        assert np.abs(np.array(got) - p).max() < 1e-6
        assert np.abs(np.array(got) - list(want.probabilities.values())).max() < 1e-5
        assert (" refused: " in line) == want.reason.startswith("it ")
        assert (" abstains: " in line) == ("possible" in want.reason)
        stopped += want.abstained
    assert 0 < stopped < len(files)


@pytest.mark.usefixtures("translated_once")
def test_openvino_keeps_weights_whole_and_the_record_as_one_text(
    folder: Path, files: list[Path], tmp_path: Path
) -> None:
    result = export(folder, tmp_path / "ir", ExportRequest("openvino"), quiet)
    names = {path.name for path in result.folder.iterdir()}
    assert {"model.xml", "model.bin"} <= names
    assert "model.onnx" not in names
    network = ov.Core().read_model(result.folder / "model.xml")
    kinds = {
        str(op.get_element_type()) for op in network.get_ops() if op.get_type_name() == "Constant"
    }
    assert not any("16" in kind for kind in kinds)
    assert json.loads(network.get_rt_info("hilum").astype(str)) == result.record
    assert [row["engine"] for row in result.engines] == ["torch", "OpenVINO"]
    want, got = (hilum.load_model(place).predict(files[0]) for place in (folder, result.folder))
    assert (want.label, want.reason) == (got.label, got.reason)


@pytest.mark.slow
@pytest.mark.usefixtures("translated_once")
def test_another_format_takes_the_place_of_the_first(
    exported: Path, folder: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out"))
    export(folder, out, ExportRequest("openvino"), quiet)
    assert not (out / "model.onnx").exists()
    assert hilum.load_model(out).classes == CLASSES
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["model.onnx", "preparation.json", "proof.json", "seen.csv"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_stale_or_damaged_file_is_said(
    exported: Path, tmp_path: Path, name: str, damage: str
) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out"))
    if damage == "gone":
        (out / name).unlink()
    else:
        whole = bytearray((out / name).read_bytes())
        whole[len(whole) // 2] ^= 1
        (out / name).write_bytes(whole)
    with pytest.raises(
        HilumError, match=rf"{name} of the exported folder .* export the model again"
    ):
        hilum.load_model(out)


def test_every_digit_of_its_record_is_checked_but_the_verdict(
    exported: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out"))
    record = read_json(exported, "model.json")
    model_json.amend(out, {"judged": {"verdict": "Judged anew."}})
    assert "Judged anew" in hilum.load_model(out).verdict
    part = record[exports.KEY]
    bounds = part["abstention"]["possible_from"]
    for more in (
        {"classes": [*CLASSES[:2], "pneumonja"]},
        {"thresholds": {**record["thresholds"], CLASSES[0]: 0.9}},
        {exports.KEY: {**part, "abstention": {**part["abstention"], "pose_above": 0.9}}},
    ):
        model_json.amend(out, {**record, **more})
        with pytest.raises(HilumError, match=r"model.json of the exported folder .* got another"):
            hilum.load_model(out)
    earlier = {key: value for key, value in part.items() if key != exports.RECORD}
    model_json.amend(out, {**record, exports.KEY: earlier})  # of a version without the hash
    assert hilum.load_model(out).trained.facts.conformal == bounds
    for damaged in (
        {**record, exports.KEY: {**earlier, "graph": "other.onnx"}},
        {**record, exports.KEY: {k: v for k, v in earlier.items() if k != "abstention"}},
        {**record, exports.KEY: earlier, "preparation": {"steps": "resize"}},
        {**record, exports.KEY: "model.onnx"},
    ):
        model_json.write_record(out, damaged)
        with pytest.raises(
            HilumError, match=r"model.json must be as hilum wrote it; got .* restor"
        ):
            hilum.load_model(out)


def test_no_trained_model_is_overwritten(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder, run / "model")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for out in (run, run / "model"):
        with pytest.raises(HilumError, match=r"has a trained model; choose another"):
            export(folder, out, ExportRequest(), quiet)
    (tmp_path / "file").touch()
    with pytest.raises(HilumError, match="must be a place that can be written"):
        export(folder, tmp_path / "file", ExportRequest(), quiet)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("translated_once")
def test_a_full_disk_is_one_sentence_and_leaves_the_earlier_export(
    exported: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = Path(shutil.copytree(exported, tmp_path / "out"))
    monkeypatch.setattr(onnx_file, "write", full)
    with pytest.raises(HilumError, match=r"out must be written; got: the disk is full; free"):
        export(folder, out, ExportRequest(), quiet)
    assert hilum.load_model(out).classes == CLASSES
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.usefixtures("translated_once")
def test_a_graph_that_answers_otherwise_is_refused_and_nothing_is_left(
    folder: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = engines.onnxruntime_rows

    def wrong(path: Path) -> engines.Rows:
        rows = original(path)

        def shifted(stack: np.ndarray) -> np.ndarray:
            shifted_rows = rows(stack)
            shifted_rows[:, 0] += 0.3
            return shifted_rows

        return shifted

    monkeypatch.setattr(engines, "onnxruntime_rows", wrong)
    out = Path(shutil.copytree(exported, tmp_path / "out"))
    with pytest.raises(
        proof.RefusedExportError, match=r"probability changes by .* ONNX Runtime"
    ) as e:
        export(folder, out, ExportRequest(), quiet)
    assert e.value.exit_code == 1
    assert hilum.load_model(out).classes == CLASSES  # the earlier export is whole
    with pytest.raises(proof.RefusedExportError):
        export(folder, tmp_path / "new", ExportRequest(), quiet)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"format": "onxn"}, "did you mean 'onnx'"),
        ({"precision": "fp16"}, "a precision of an export is one of fp32, bf16, int8; got 'fp16'"),
        ({"precision": "int8"}, "at least 200 with --proof"),
        ({"proof": Path("nowhere")}, "'nowhere', which does not exist"),
    ],
)
def test_bad_requests_are_one_sentence(
    folder: Path, tmp_path: Path, words: dict, says: str
) -> None:
    with pytest.raises(HilumError, match=says):
        export(folder, tmp_path / "out", ExportRequest(**words), quiet)


def test_too_few_images_and_an_export_of_an_export_are_refused(
    folder: Path, exported: Path, files: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(HilumError, match=r"at least 200 images .* got 13"):
        export(folder, tmp_path / "out", ExportRequest(proof=files[0].parent), quiet)
    with pytest.raises(HilumError, match="which is an export"):
        export(exported, tmp_path / "out", ExportRequest(), quiet)


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object | None:
        return None if name == "onnxscript" else object()

    monkeypatch.setattr(packages, "find_spec", absent)
    with pytest.raises(
        HilumError, match=r"not installed: onnxscript; run pip install 'hilum\[export\]'"
    ):
        packages.require("onnx", "fp32", proof=False)


def flips(rows: Sequence[tuple[float, float, int]]) -> list[str]:
    engine_rows = [proof.EngineProof("E", "1", c, 0.9, fall, n, 0, 0) for c, fall, n in rows]
    return proof.faults(engine_rows, "int8", 300)


def test_limits_of_int8_are_those_of_the_rule() -> None:
    assert flips([(0.4, 0.002, 3)]) == []
    assert flips([(0.4, 0.0021, 3)]) == ["AUROC falls by 0.0021 under E (at most 0.002)"]
    assert flips([(0.4, 0.00203, 3)]) == ["AUROC falls by 0.00203 under E (at most 0.002)"]
    assert flips([(0.4, 0.0, 4)]) == ["4 of 300 decisions flip under E (at most 3)"]
    refusals = proof.EngineProof("E", "1", 0.1, None, None, 0, 16, 15)
    assert proof.faults([refusals], "int8", 300) == ["16 of 300 refusals flip under E (at most 15)"]
    exact = proof.EngineProof("E", "1", 1.1e-4, None, None, 0, 0, 1)
    assert len(proof.faults([exact], "fp32", 300)) == 2


def bits(folder: Path, name: str) -> int:
    return (folder / name).stat().st_size


def test_bf16_halves_the_file_and_rounds_the_network_alone(
    exported: Path, films: phantom.Phantom, tmp_path: Path
) -> None:
    whole = onnx.load(exported / "model.onnx")
    path = onnx_file.write(bf16.round_weights(whole), tmp_path / "model.onnx")
    assert path.stat().st_size < 0.75 * bits(exported, "model.onnx")
    kinds = {item.name: item.data_type for item in onnx.load(path).graph.initializer}
    rounded = {name for name, kind in kinds.items() if kind == onnx.TensorProto.BFLOAT16}
    assert rounded
    assert all(name.startswith("backbone.") for name in rounded)
    stack = stack_of(films)[:20]
    want = engines.onnxruntime_rows(exported / "model.onnx")(stack)
    for rows in (engines.onnxruntime_rows(path), engines.openvino_rows(path)):
        change = np.abs(np.exp(rows(stack)) - np.exp(want))[:, : len(CLASSES)].max()
        assert 1e-6 < change < 0.1
