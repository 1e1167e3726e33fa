"""What commands print: JSON alone under --json, plain text in pipes, tables that fit a terminal."""

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import HILUM, Run, Trained, installed
from PIL import Image
from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "exporting"))

from export_models import SMALL, model_of, stack_of

from hilum.cli import tables
from hilum.cli.json_output import as_json
from hilum.cli.results import MASKS, show
from hilum.cli.terminal import Terminal
from hilum.exporting import proof_images
from hilum.inference import model_folder
from hilum.metrics import registry
from hilum.models import backbones
from hilum.phantom import Phantom
from hilum.types import Finding, Leak, LeftOut, Published, Results, Score

FIGURES = "study,dataset,model,init,freeze,class,metric,value,where\n"


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    if not HILUM.is_file():
        pytest.skip("hilum is not installed as a program here")
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = installed("--help")
        times.append(time.perf_counter() - start)
        assert done.code == 0
    assert min(times) < 1.5
    assert "Not for clinical use" in done.out
    heavy = "import sys, hilum.cli.main; print({'torch', 'pandas', 'pydantic'} & set(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", heavy], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "set()"


def test_no_words_show_the_help(hilum: Run) -> None:
    for words in ((), ("data",)):
        done = hilum(*words)
        assert done.code == 2
        assert "Commands" in done.out
        assert done.err == ""


def test_every_command_has_help_and_says_what_it_does(hilum: Run) -> None:
    from hilum.cli.app import app
    from hilum.cli.data import data

    names = [(c.name or c.callback.__name__,) for c in app.registered_commands]
    names += [("data", c.name or c.callback.__name__) for c in data.registered_commands]
    assert len(names) >= 15
    for words in names:
        done = hilum(*words, "--help")
        assert done.code == 0
        assert "--json" in done.out, words


@pytest.fixture
def small_model(films: Phantom, tmp_path: Path) -> Path:
    """A model of a small network, which PyTorch writes as ONNX in a tenth of the time."""
    network = backbones.build_backbone(SMALL, "random")
    model = model_of(network, np.concatenate([stack_of(films)] * 2))
    return model_folder.save_trained_model(model, tmp_path / "small")


@pytest.mark.usefixtures("brief")
def test_json_of_every_command(
    hilum: Run,
    trained: Trained,
    small_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Valid JSON, and nothing else, on stdout; nothing on stderr."""
    monkeypatch.setattr(proof_images, "LEAST", 12)  # tests/exporting proves on all of them
    monkeypatch.setattr(proof_images, "PHANTOM_SIDE", 96)
    (tmp_path / "t.csv").write_text(FIGURES + "1,d,m,,,covid,recall,0.5,Table 1\n")
    model, one = trained.folder / "model", next((trained.data / "covid19").glob("*.png"))
    commands: dict[tuple[str | Path, ...], set[str]] = {
        ("recipes",): set(),
        ("show", "demo"): {"name", "data", "model"},
        ("doctor",): {"hilum", "python", "cores"},
        ("data", "list"): set(),
        ("data", "scan", trained.data): {"images", "classes", "left_out", "by_source"},
        ("data", "leaks", trained.data): {"sets", "between"},
        ("predict", model, one, "--out", tmp_path / "p.csv"): {"predictions", "notice"},
        ("evaluate", model, trained.data, "--out", tmp_path / "e"): {"scores", "verdict", "notice"},
        ("export", small_model, "--out", tmp_path / "x"): {"proof", "classes", "verdict", "notice"},
        ("card", trained.folder, "--out", tmp_path / "c"): {"cards", "notice"},
        ("compare", trained.folder, trained.folder): {"differences", "notice"},
        ("check-table", tmp_path / "t.csv"): {"violations", "checks", "left_out"},
        ("check-table", "--template", tmp_path / "n.csv"): {"template", "columns"},
        ("init", trained.data, "--out", tmp_path / "n.toml"): {"recipe", "name", "advice", "scan"},
        ("prepare", trained.data, "--steps", "clahe", "--out", tmp_path / "o"): {"written"},
    }
    assert len(commands) == 15
    for words, keys in commands.items():
        done = hilum(*words, "--json")
        assert done.code == 0, done.err
        assert keys <= set(done.json if isinstance(done.json, dict) else ()), words
        assert "NaN" not in done.out
        assert done.err == "", words


def test_quiet_is_silent(hilum: Run, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(FIGURES + "1,d,m,,,covid,recall,1.5,Table 1\n")
    for words in (
        ("data", "list"),
        ("data", "scan", trained.data),
        ("data", "leaks", trained.data),
        ("compare", trained.folder, trained.folder),
        ("check-table", tmp_path / "t.csv"),
        ("check-table", "--template", tmp_path / "n.csv"),
        ("init", trained.data, "--out", tmp_path / "n.toml"),
    ):
        done = hilum(*words, "-q")
        assert (done.code, done.out, done.err) == (0, "", ""), words


def test_predict_leaves_null_where_there_is_no_probability(
    hilum: Run, trained: Trained, tmp_path: Path
) -> None:
    done = hilum(
        "predict", trained.folder / "model", trained.data, "--out", tmp_path / "p.csv", "--json"
    )
    rows = done.json["predictions"]
    assert len(rows) == 43
    assert sum(row["p_normal"] is None for row in rows) == 3
    assert {"what", "reason", "count", "names"} == set(done.json["left_out"][0])


def test_the_rows_that_are_shown_are_of_the_images_that_are_counted(
    hilum: Run, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that is abstained from stands among those that were read, not those predicted."""
    monkeypatch.setattr("hilum.cli.predict.SHOWN", 2)
    noise = np.random.default_rng(0).integers(0, 255, (200, 240), np.uint8)
    for name in ("a", "b", "c"):
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
    films = sorted((trained.data / "covid19").glob("*.png"))[:3]
    model, out = trained.folder / "model", tmp_path / "p.csv"
    done = hilum("predict", model, *tmp_path.glob("?.png"), *films, "--out", out)
    rows = pd.read_csv(out)
    abstained = int(rows["abstain"].sum())
    assert abstained >= 3
    first = " (the first 2 are shown)"
    assert (
        f"Images read: {len(rows)}{first}. Predicted: {len(rows) - abstained}. "
        f"Abstained: {abstained}{first}. Left out: 0."
    ) in " ".join(done.out.split())


def test_json_knows_records_nan_and_paths() -> None:
    score = Score("main", "recall", "normal", float("nan"), None, None, None, None, "undefined")
    text = as_json({"score": score, "where": Path("/a"), "items": (1, "é")})
    assert json.loads(text) == {
        "score": {
            "cell": "main",
            "name": "recall",
            "class": "normal",
            "value": None,
            "k": None,
            "n": None,
            "low": None,
            "high": None,
            "method": "undefined",
            "stamp": "",
            "over": [],
        },
        "where": "/a",
        "items": [1, "é"],
    }


def test_pipes_get_aligned_text_without_frames_or_colour() -> None:
    rows = [("a", 1, Text("✓ pass", "green")), ("longer", 1234, Text("✗ fail", "red"))]
    assert tables.plain("Title", ("name", "n", "outcome"), rows).splitlines() == [
        "Title",
        "name       n  outcome",
        "a          1  ✓ pass",
        "longer  1234  ✗ fail",
    ]


def test_names_are_never_mark_up_nor_commands_to_the_terminal() -> None:
    rows = [("[red]class[/]", "bell\a and \x1b[2J and\nline")]
    plain = tables.plain("[bold]", ("name", "file"), rows)
    assert plain.splitlines()[2] == "[red]class[/]  bell� and �[2J and�line"
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    console.print(tables.draw_table("[bold]", ("name", "file"), rows))
    assert "[red]class[/]" in console.file.getvalue()
    assert "\a" not in console.file.getvalue()
    assert "\x1b[2J" not in console.file.getvalue()


SHOWN = (*MASKS, *(row.key for row in registry.brief()))


def results() -> Results:
    scores = [
        Score("main", name, class_, 0.9, 45, 50, 0.8, 0.95, "wilson")
        for name, class_ in (*SHOWN, ("mcc", "overall"), ("sensitivity", "normal"))
    ]
    sentence = "A model that sees only the outer frame reaches AUROC 0.80; the frame tells much."
    return Results(
        recipe="r",
        mode="corrected",
        classes=["a", "b"],
        n={},
        scores=scores,
        published=[Published("Table 1", "accuracy", "overall", 0.98, 0.9, 0.8, 0.95, False)],
        audits=[Finding("C-03", "warn", 0.8, "rule", "reference", sentence, "Border only")],
        verdict="Read with caution.",
        environment={},
        data={
            "left_out": [{"what": "x" * 90 + ".png", "reason": "cut short", "count": 1}],
            "notes": ["Label 'covid' is read as class covid19."],
        },
        split={},
        model={"cell": "main"},
        limits=[],
    )


@pytest.mark.parametrize("width", [80, 120])
def test_the_end_of_a_run_fits_the_terminal(width: int) -> None:
    out = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    show(results(), Path("run"), Terminal(out=out))
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.file.getvalue())
    lines = [line for line in text.splitlines() if not line.startswith("Report")]
    assert max(map(len, lines)) <= width
    assert ("Border only" in text) is (width == 120)
    assert "Matthews" not in text
    assert text.count("0.800–0.950") == len(SHOWN) + 1
    assert "Not for clinical use" in text
    assert "• Label 'covid' is read as class covid19." in text


def test_verbose_shows_every_score_of_the_chosen_cell() -> None:
    out = Console(file=io.StringIO(), width=200)
    show(results(), Path("run"), Terminal(out=out, verbosity=1))
    text = out.file.getvalue()
    assert "Matthews correlation" in text
    assert text.count("0.800–0.950") == len(SHOWN) + 3


def test_long_lists_are_cut_and_counted() -> None:
    items = [LeftOut(f"file {i}", "damaged") for i in range(25)]
    for verbosity, shown in ((0, 10), (1, 25)):
        out = Console(file=io.StringIO(), width=200)
        Terminal(out=out, verbosity=verbosity).left_out(items)
        assert out.file.getvalue().count("damaged") == shown
        assert ("15 more are left out" in out.file.getvalue()) is (verbosity == 0)


def test_bars_are_drawn_at_a_terminal_and_nowhere_else() -> None:
    for is_terminal in (True, False):
        log = Console(file=io.StringIO(), force_terminal=is_terminal, width=80)
        screen = Terminal(log=log)
        with screen.working():
            later = screen.step_later("never moved")
            screen.step("decode")(3, 3)
        assert callable(later)
        assert ("decode" in log.file.getvalue()) is is_terminal
        assert "never moved" not in log.file.getvalue()


def test_leak_is_a_record_that_json_knows() -> None:
    leak = Leak("same bytes", 0, "a", "train", "b", "test")
    assert json.loads(as_json([leak]))[0]["second_part"] == "test"
