"""hilum init: its recipe runs at once and does what `hilum train FOLDER` does."""

import re
from pathlib import Path

import pytest
from command_line import Run, Trained, noise, write

from hilum import recipes
from hilum.recipes import own_images

SUGGESTION = re.compile(r"^# (?=[a-z_]+ = )", re.M)
TITLES = {"name", "title", "cost", "classes"}


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_init_then_run_gives_what_train_gives(
    hilum: Run, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = hilum("init", trained.data)
    assert (done.code, done.err) == (0, "")
    assert "Next: hilum run films.toml --dry-run" in done.out
    assert "left out" in done.out.casefold()  # the empty file
    own, as_train = (
        recipes.as_tree(recipes.load_recipe(name, changes=changes))
        for name, changes in (
            ("films.toml", []),
            ("default", [recipes.own_data({"path": str(trained.data)}, {})]),
        )
    )
    assert own["classes"] == ["covid19", "normal"]
    assert {k for k in own if own[k] != as_train[k]} <= TITLES
    foreseen = hilum("run", "films.toml", "--dry-run", "--json").json["forecasts"][0]
    assert foreseen["images"] == trained.done.json["n"]["images"] + 3
    done = hilum("run", "films.toml", "--out", "run", "--set", "figures=[]", "-q")
    assert (done.code, done.err) == (0, "")
    made = [folder / "predictions.csv" for folder in (tmp_path / "run", trained.folder)]
    assert made[0].read_bytes() == made[1].read_bytes()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Ten images of two hospitals that have one class each; no patient; an awkward folder."""
    home = tmp_path / 'a "b" # \n c = 1'
    lines = ["file,diagnosis,house,split,view"]
    for i in range(10):
        write(home / "a b" / f"{i}.png", noise(i))
        label = "ill" if i < 8 else "well"
        part = "test" if i % 2 else "train"
        lines.append(f"a b/{i}.png,{label},{'North' if i < 8 else 'South'},{part},{'PA' * (i > 0)}")
    file = home / "demo.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_what_was_found_and_each_suggestion(hilum: Run, table: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    words = ("--label-column", "diagnosis", "--source-column", "house", "--out", file, "--json")
    done = hilum("init", table, *words)
    assert (done.code, done.err) == (0, "")
    assert done.json["recipe"] == str(file)
    patients, apart, uneven = done.json["advice"]
    assert "patients.csv" in patients
    assert "No source" in apart
    assert "4.0 times" in uneven
    text = file.read_text()
    for sentence in (
        patients,
        apart,
        "sources: North 8, South 2",
        "views: PA 9",
        "train 5, test 5",
    ):
        assert sentence in text
    plain = recipes.load_recipe(str(file))
    assert plain.name == "demo_images"  # `demo` is one of hilum's own
    assert plain.classes == ["ill", "well"]
    assert plain.data[0].path == str(table)
    assert plain.data[0].columns == {"label": "diagnosis", "source": "house"}
    everything, switched = SUGGESTION.subn("", text)
    assert switched == 8
    file.write_text(everything)
    full = recipes.load_recipe(str(file))
    assert full.data[0].keep == {"source": ["North"]}
    assert full.data[0].take == {"ill": 2}
    assert [step["step"] for step in full.prepare.steps] == ["crop_lungs", "letterbox"]
    assert (full.split.group, len(full.seeds)) == ("site", 5)
    assert full.train.stages[0].trainable == "all"


def test_lung_masks_are_found(hilum: Run, tmp_path: Path) -> None:
    for i, kind in enumerate("aabb"):
        write(tmp_path / "set" / kind / "images" / f"{i}.png", noise(i))
        write(tmp_path / "set" / kind / "masks" / f"{i}.png", noise(i) // 128 * 255)
    file = tmp_path / "set.toml"
    assert hilum("init", tmp_path / "set", "--out", file, "-q").code == 0
    text = file.read_text()
    assert "lung masks: 4" in text
    file.write_text(SUGGESTION.sub("", text))
    assert recipes.load_recipe(str(file)).learns == "lungs"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere",), "nowhere must be a folder of images or a table; got nothing"),
        (("set", "--out", "there.toml"), "got 'there.toml', which exists; name another"),
        (("set", "--out", "set"), "got the folder 'set'; name a file in it"),
        (("set", "--out", "new.txt"), r"ends in .toml; got 'new.txt'; use 'new.txt.toml'"),
        (("set", "--out", "there.toml/new.toml"), "there.toml/new.toml must be written"),
        (("set",), "two or more classes; got one class only, 'a'"),
    ],
)
def test_init_refuses(
    hilum: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "set" / "a" / "1.png", noise(1))
    if sentence.startswith("there.toml/"):
        write(tmp_path / "set" / "b" / "2.png", noise(2))
    (tmp_path / "there.toml").write_text("kept")
    done = hilum("init", *words)
    assert done.code == 2
    assert re.search(sentence, done.err), done.err
    assert "Traceback" not in done.err
    assert (tmp_path / "there.toml").read_text() == "kept"
    assert not (tmp_path / "set.toml").exists()


def test_a_name_never_is_that_of_a_recipe_of_ours() -> None:
    assert own_images.name_for("/data/My films (2020)") == "My_films_2020"
    assert own_images.name_for("/data/robust") == "robust_images"
    assert own_images.name_for("/") == "images"
    assert own_images.name_for("/Ärzte/Übungsfilme") == "Ubungsfilme"
