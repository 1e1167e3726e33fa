"""Folders for Hugging Face and MONAI answer as the model does, without hilum's own code."""

import ast
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import hilum
from hilum import files
from hilum.api.model import Model
from hilum.cli.main import app
from hilum.inference import model_json
from hilum.interop import folders, huggingface_folder, monai_bundle, own_answers
from hilum.interop.film_loader import FilmLoader
from hilum.interop.model_card import card_of
from hilum.interop.own_answers import OwnAnswers
from hilum.models.torchvision_compat import timm


@pytest.fixture(autouse=True)
def few_films(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder is checked on four phantom films."""
    monkeypatch.setattr(own_answers, "FILMS", 4)


@pytest.fixture(scope="module")
def mirroring(out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's model alone, made to average films with their mirror images."""
    folder = tmp_path_factory.mktemp("mirroring") / "model"
    shutil.copytree(out / "model", folder)
    model_json.amend(folder, {"mirror": True})
    return folder


def stack(out: Path, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Five prepared films (image, height, width), and what the model answers (image, class)."""
    paths = hilum.open_data(out).table["path"].head(5)
    films = np.stack([model.preparation(hilum.read_image(path).pixels) for path in paths])
    answers = model.predict(list(paths))
    return films, np.array([list(answer.probabilities.values()) for answer in answers])


def test_a_hugging_face_folder_is_read_by_its_own_code(
    out: Path, mirroring: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    app(["export", str(mirroring), "--out", str(tmp_path), "--format", "huggingface", "--json"],
        standalone_mode=False)  # fmt: skip
    assert json.loads(capsys.readouterr().out)["format"] == "huggingface"
    model = hilum.load_model(mirroring)
    films, p = stack(out, model)

    tree = ast.parse((tmp_path / "modeling_hilum.py").read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {getattr(node, "module", None) or alias.name for node in nodes for alias in node.names}
    assert not any(name.startswith("hilum") for name in names)
    timm()  # a torch without CUDA needs the repair before timm's first import
    code = huggingface_folder.load_code(tmp_path)
    loaded = code.HilumClassifier.from_pretrained(tmp_path, strict=True).eval()
    assert loaded.mirror
    with torch.inference_mode():
        answers = loaded(torch.from_numpy(films)).numpy()
    np.testing.assert_allclose(answers, p, atol=2e-5)
    config = json.loads((tmp_path / "config.json").read_text())
    assert list(config["id2label"].values()) == model.classes
    assert config["verdict"] == model.verdict
    assert config["notice"] == hilum.NOTICE
    steps = json.loads((tmp_path / "preprocessor_config.json").read_text())["steps"]
    assert steps == model.preparation.as_list()
    assert model.verdict in (tmp_path / "README.md").read_text()
    files.require_own_export(tmp_path, huggingface_folder.EVERY_FILE, huggingface_folder.MARK)


def test_the_card_is_the_run_s(out: Path, tmp_path: Path) -> None:
    from hilum.api.cards import card

    written = card(out, tmp_path / "cards")[0].path.read_text()
    assert card_of(hilum.load_model(out).trained, out / "model") == written


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_bundle_answers_as_the_model(out: Path, model: Model, tmp_path: Path) -> None:
    assert hilum.export(out, tmp_path, format="monai") == tmp_path
    mark = monai_bundle.EXPORTED_BY.encode()
    files.require_own_export(tmp_path, monai_bundle.EVERY_FILE, mark)  # the next one replaces it
    films, p = stack(out, model)
    network = torch.jit.load(tmp_path / "models" / "model.ts")
    with torch.inference_mode():
        for pixels in (torch.from_numpy(films)[:, None], torch.from_numpy(films)[:, None].float()):
            np.testing.assert_allclose(network(pixels).numpy(), p, atol=2e-5)
    state = torch.load(tmp_path / "models" / "model.pt", weights_only=True)
    assert sorted(state) == sorted(network.state_dict())
    metadata = json.loads((tmp_path / "configs" / "metadata.json").read_text())
    required = (
        "version monai_version pytorch_version numpy_version optional_packages_version task "
        "description authors copyright network_data_format"
    )  # of the specification
    assert set(required.split()) <= set(metadata)
    (output,) = metadata["network_data_format"]["outputs"].values()
    assert list(output["channel_def"].values()) == model.classes
    assert model.verdict in metadata["description"]
    config = json.loads((tmp_path / "configs" / "inference.json").read_text())
    path = hilum.open_data(out).table["path"].iloc[0]
    read = FilmLoader(config["preprocessing"]["steps"])({"image": path})
    np.testing.assert_array_equal(read["image"][0].numpy(), films[0])
    assert read["path"] == path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MONAI's own
def test_monai_itself_runs_the_bundle(out: Path, model: Model, tmp_path: Path) -> None:
    bundle = pytest.importorskip("monai.bundle")
    hilum.export(out, tmp_path, format="monai")
    images = tmp_path / "images"
    images.mkdir()
    for path in hilum.open_data(out).table["path"].head(3):
        shutil.copy(path, images)
    parser = bundle.ConfigParser()
    parser.read_config(str(tmp_path / "configs" / "inference.json"))
    parser.read_meta(str(tmp_path / "configs" / "metadata.json"))
    parser["bundle_root"] = str(tmp_path)
    answers = parser.get_parsed_content("answers")
    assert len(answers) == 3
    for answer in answers:
        expected = model.predict(answer.pop("path")).probabilities
        assert answer == pytest.approx(expected, abs=2e-5)
    bundle.verify_net_in_out(
        net_id="network_def",
        meta_file=str(tmp_path / "configs" / "metadata.json"),
        config_file=str(tmp_path / "configs" / "inference.json"),
        bundle_root=str(tmp_path),
    )


def test_a_folder_that_would_answer_otherwise_is_not_written(
    out: Path, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnAnswers(*stack(out, model))
    monkeypatch.setattr(OwnAnswers, "of", lambda _: own)
    graph = huggingface_folder._tensors
    monkeypatch.setattr(
        huggingface_folder,
        "_tensors",
        lambda model: {**graph(model), "mean": graph(model)["mean"] + 0.5},
    )
    with pytest.raises(own_answers.RefusedFolderError, match="must answer as the model does"):
        huggingface_folder.export_huggingface(out, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_these_folders_cannot_hold_is_named(out: Path, model: Model, tmp_path: Path) -> None:
    with pytest.raises(hilum.HilumError, match="takes neither --precision nor --proof"):
        hilum.export(out, tmp_path, format="monai", precision="bf16")
    backbone = model.trained.backbone
    pool, backbone.pool = backbone.pool, "flatten"
    try:
        with pytest.raises(hilum.HilumError, match="got pool 'flatten'; choose --format onnx"):
            huggingface_folder._require_timm(backbone)
    finally:
        backbone.pool = pool


def test_the_two_lists_of_formats_are_one() -> None:
    from hilum.exporting import packages

    assert tuple(folders.FORMATS) == packages.FOLDERS
