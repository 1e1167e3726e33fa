"""Bad input: one sentence on stderr, nothing on stdout, the exit code of the contract."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import typer
from command_line import Run, noise, write

from hilum.phantom import Phantom


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current one, and no datasets known from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HILUM_DATA", raising=False)
    return tmp_path


def folders(root: Path, **classes: int) -> Path:
    """So many images in each class folder; each of a patient of its own."""
    for number, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            write(root / name / f"{name}{i}.png", noise(100 * number + i))
    return root


def refused(run: Run, code: int, sentence: str, *words: str | Path) -> str:
    done = run(*words)
    assert done.code == code, done.err
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1, "one sentence, one line"
    assert re.search(sentence, done.err), done.err
    assert "Traceback" not in done.err
    return done.err


@pytest.mark.parametrize("command", ["train", "data scan", "data leaks", "prepare --steps resize"])
def test_a_missing_folder(hilum: Run, here: Path, command: str) -> None:
    words = [*command.split(), "nowhere", *(["--out", "o"] if "prepare" in command else [])]
    refused(hilum, 2, "nowhere.*(got nothing|none there); check the path", *words)


@pytest.mark.parametrize("words", [["train", ""], ["init", "d", "--out", " "], ["show", "--out="]])
def test_an_empty_argument_is_not_the_current_folder(
    hilum: Run, here: Path, words: list[str]
) -> None:
    folders(here, a=2, b=2)
    refused(hilum, 2, "must not be empty; .* it is not set", *words)
    assert sorted(path.name for path in here.iterdir()) == ["a", "b"]


def test_a_missing_folder_names_the_nearest(hilum: Run, here: Path) -> None:
    folders(here / "films", a=1)
    refused(hilum, 2, "did you mean .*films", "train", "fims")


def test_an_empty_class_folder(hilum: Run, here: Path) -> None:
    data = folders(here / "d", covid=3, normal=0)
    refused(hilum, 2, "one class only, 'covid19', and no image in .*normal", "train", data)


def test_one_class_only(hilum: Run, here: Path) -> None:
    refused(hilum, 2, "got one class only, 'a'", "train", folders(here / "d", a=3))


def test_a_class_of_one_patient(hilum: Run, here: Path) -> None:
    data = folders(here / "d", b=5)
    for i in range(4):
        write(data / "a" / f"patient7_{i}.png", noise(900 + i))
    for i, path in enumerate(sorted((data / "b").iterdir())):
        path.rename(data / "b" / f"patient{i + 20}_0.png")
    refused(hilum, 2, "patients per class.*got 1 for 'a'", "train", data, "--out", "o")


def test_three_images_in_all(hilum: Run, here: Path) -> None:
    refused(hilum, 2, "got 1 for 'a'", "train", folders(here / "d", a=1, b=2), "--out", "o")


def test_nothing_but_damaged_files(hilum: Run, here: Path) -> None:
    for name in ("a", "b"):
        (here / "d" / name).mkdir(parents=True)
        for i in range(8):  # enough for a split, were there anything to see
            (here / "d" / name / f"text{i}.png").write_text("this is text")
            (here / "d" / name / f"empty{i}.jpg").write_bytes(b"")
    refused(hilum, 2, "at least one readable image; got none", "train", "d", "--out", "o")
    refused(hilum, 2, "at least one image that can be prepared", *words_of_prepare("d"))


def words_of_prepare(folder: str) -> tuple[str, ...]:
    return ("prepare", folder, "--steps", "resize", "--out", "p")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission(hilum: Run, here: Path) -> None:
    data = folders(here / "d", a=1, b=1)
    for path in data.rglob("*.png"):
        path.chmod(0)
    refused(hilum, 2, "[Pp]ermission denied", "train", data, "--out", "o")


def test_out_cannot_be_written(hilum: Run, here: Path) -> None:
    data = folders(here / "d", a=6, b=6)
    (here / "file").write_text("in the way")
    sentence = "--out must be a place that can be written; got '.*file/run'.*; choose another"
    refused(hilum, 2, sentence, "train", data, "--out", here / "file" / "run")
    words = ("prepare", data, "--steps", "resize", "--out", here / "file" / "run")
    refused(hilum, 2, sentence, *words)


def test_predictions_cannot_be_written(hilum: Run, model: Path, here: Path) -> None:
    (here / "file").write_text("in the way")
    sentence = "--out must be a place that can be written"
    write(here / "a.png", noise(1))
    refused(hilum, 2, sentence, "predict", model, here, "--out", "file/p.csv")


def table(here: Path, text: str) -> Path:
    for i in range(4):
        write(here / f"{i}.png", noise(i))
    (here / "t.csv").write_text(text)
    return here / "t.csv"


ROWS = "0.png,a\n1.png,b\n2.png,a\n3.png,b\n"


@pytest.mark.parametrize("command", [("train",), ("data", "scan")])
def test_a_column_that_does_not_exist(hilum: Run, here: Path, command: tuple[str, ...]) -> None:
    file = table(here, "file,diagnose\n" + ROWS)
    refused(hilum, 2, "a column for the label.*or name it with --label-column", *command, file)
    wrong = "must have the column 'diagnosis'; .*did you mean 'diagnose'"
    refused(hilum, 2, wrong, *command, file, "--label-column", "diagnosis")
    # the folder around the table: the same answer, not one about class folders
    refused(hilum, 2, wrong, *command, here, "--label-column", "diagnosis")


def test_every_option_that_a_sentence_names_exists(hilum: Run) -> None:
    from hilum.datasets.columns import OPTIONS

    assert len(OPTIONS) == 4
    for command in (("train",), ("data", "scan")):
        shown = hilum(*command, "--help").out
        assert [option for option in OPTIONS.values() if option not in shown] == []


def test_a_column_of_numbers_is_no_label(hilum: Run, here: Path) -> None:
    file = table(here, "file,label\n" + ROWS.replace(",b", ",a"))
    refused(hilum, 2, "2 to 100 classes.*right column with --label-column", "train", file)


def test_an_image_with_two_labels(hilum: Run, here: Path) -> None:
    file = table(here, "file,label\n" + ROWS + "0.png,b\n")
    refused(hilum, 2, "one label; got 1 with several, such as .*0.png", "train", file)


def test_duplicated_ids(hilum: Run, here: Path) -> None:
    from hilum.data import manifest

    table(here, "")
    rows = [{"path": f"{i}.png", "label": "ab"[i % 2]} for i in range(4)]
    found = manifest.assemble_manifest(rows, "folder", root=here)
    pd.concat([found.table, found.table.head(1)]).to_parquet(here / "manifest.parquet")
    refused(hilum, 2, "sample_id must name one image; got 'folder/0.png' more", "train", here)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run zhang", "one of .*got 'zhang'; did you mean 'zhang2022'"),
        ("run nothing.toml", "nothing.toml cannot be read"),
        ("show zhang2022 --mode strict", "published or corrected; got 'strict'"),
        ("run zhang2022 --mode strict", "published or corrected; got 'strict'"),
        (
            "train . --set model.bakbone=x",
            "'model.bakbone' does not exist; did you mean 'backbone'",
        ),
        ("train . --set seeds", "--set needs key=value"),
        ("prepare . --out o --steps leterbox", "got 'leterbox'; did you mean 'letterbox'"),
        ("prepare . --out o --steps ,", "--steps needs names among .*letterbox"),
        ("data scan kermani", "did you mean 'kermany'"),
        ("data fetch kermani", "did you mean 'kermany'"),
        ("check-table nothing.csv", "must be a CSV; got 'nothing.csv', which is not there"),
        ("check-table .", "must be a CSV; got '.', which is a folder"),
        ("check-table", "needs a CSV or a recipe; got neither.*--template FILE"),
        ("check-table yamani", "which is neither; did you mean 'yamani2021'"),
        ("check-table demo", "with published figures; got 'demo'.*cuijpers2020"),
        ("check-table demo --template new.csv", "got 'demo' and --template new.csv; leave one"),
        ("check-table --template .", "changes none; got '.', which exists"),
        ("frobnicate", "No such command 'frobnicate'; see `hilum --help`"),
        ("train . --frob", "No such option: --frob.*; see `hilum train --help`"),
        ("train", "Missing argument .*folder.*; see `hilum train --help`"),
        ("run demo --seeds 0", "--seeds.*equal to 1; got '0'; see `hilum run --help`"),
        ("predict . . --workers=two", "--workers.*integer; got 'two'; see"),
        ("data frob", "No such command 'frob'"),
    ],
)
def test_words_that_do_not_exist(hilum: Run, here: Path, words: str, sentence: str) -> None:
    refused(hilum, 2, sentence, *words.split())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run zhang2022", "needs the dataset .*; got no --data; .*HILUM_DATA"),
        ("run zhang2022 --data nowhere", "must lie in .*nowhere/.*, with the folders as published"),
        ("data scan nih --data nowhere", "'nih' must lie in .*nowhere/nih-chestxray14"),
        ("data fetch nih", "cannot be fetched without a person"),
        ("run demo --weights nowhere.pth", "--weights must be a file.*nowhere.pth"),
        ("train . --weights nowhere.pth", "--weights must be a file.*nowhere.pth"),
        ("predict nowhere nothing.png", "a model folder contains model.json; got 'nowhere'"),
        ("evaluate nowhere . --out o", "a model folder contains model.json; got 'nowhere'"),
        ("compare nowhere here", "two finished runs; got 'nowhere' without results.json"),
    ],
)
def test_what_is_missing_is_exit_code_3(hilum: Run, here: Path, words: str, sentence: str) -> None:
    refused(hilum, 3, sentence, *words.split())


def test_missing_weights_name_the_file_and_its_place(
    hilum: Run, here: Path, films: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(here / "hub"))
    data = folders(here / "d", a=6, b=6)
    said = refused(
        hilum,
        3,
        "not on this machine",
        "train",
        data,
        "--out",
        "o",
        "--set",
        "model.backbone=resnet18",
    )
    assert "download model.safetensors of timm/resnet18" in said
    assert "--weights FILE" in said
    assert str(Path(os.environ["HILUM_CACHE"]) / "weights" / "resnet18.safetensors") in said


def test_predict_names_what_it_cannot_use(hilum: Run, model: Path, here: Path) -> None:
    refused(hilum, 3, "'nothing.png', which does not exist", "predict", model, "nothing.png")
    (here / "empty").mkdir()
    refused(hilum, 2, "at least one image; got none in empty", "predict", model, "empty")
    (model / "head.safetensors").write_bytes(b"damage")
    write(here / "one.png", noise(3))
    refused(hilum, 2, "must be readable", "predict", model, "one.png")


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_text_stops_nothing_else(hilum: Run, model: Path, here: Path) -> None:
    odd = here / os.fsdecode(b"th\xe9.png")
    for name in ("one.png", "two.png"):
        write(here / name, noise(3))
    (here / "two.png").rename(odd)  # OpenCV writes no such name
    done = hilum("predict", model, "one.png", odd.name, "--out", "p.csv")
    assert done.code == 0
    assert r"th\xe9.png" in done.out
    assert len((here / "p.csv").read_text().splitlines()) == 2
    refused(hilum, 2, "not UTF-8 text; rename it", "predict", model, odd.name)
    out = os.fsdecode(b"out\xe9")
    films = write(here / "films" / "one.png", noise(3)).parent
    refused(hilum, 2, "name in UTF-8; got", "prepare", films, "--steps", "clahe", "--out", out)


def test_evaluate_wants_the_models_classes(hilum: Run, model: Path, here: Path) -> None:
    data = folders(here / "d", cats=2, dogs=2)
    sentence = r"the model's classes \(covid19, normal\); got cats, dogs"
    refused(hilum, 2, sentence, "evaluate", model, data, "--out", "o")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("Exception from src/inference/src/cpp/core.cpp:117:\ncan't alloc"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        RuntimeError("could not create a primitive"),
        RuntimeError("plugin.cpp:54: Resource temporarily unavailable"),
        SystemError("error return without exception set"),
        SystemError("<built-in function len> returned NULL without setting an exception"),
        ImportError("cv2.abi3.so: failed to map segment from shared object"),
    ],
    ids=str,
)
def test_used_up_memory_is_one_sentence(
    error: Exception, hilum: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise error

    monkeypatch.setattr(typer.Typer, "__call__", refuse)
    done = hilum("doctor")
    assert done.code == 2
    assert "memory" in done.err
    assert len(done.err.splitlines()) == 1


def test_nothing_follows_the_sentence_about_memory() -> None:
    """Functions that libraries carry out at exit have no memory either."""
    code = """
import atexit, typer
from hilum.cli import main
def refuse(*given, **named):
    raise MemoryError
atexit.register(refuse)
typer.Typer.__call__ = refuse
main()
"""
    words = [sys.executable, "-c", code, "doctor"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_another_error_of_a_library_stays_what_it_is(
    hilum: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(typer.Typer, "__call__", refuse)
    with pytest.raises(RuntimeError, match="shapes"):
        hilum("doctor")
