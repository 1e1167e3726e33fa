"""What a notebook shows: verdict, notice, figures, and nothing that is not escaped."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np

import hilum
from hilum.api.model import Model
from hilum.interop import bars
from hilum.progress import StepName, note

HOSTILE = "<script>alert('x')</script>&\""
VOID = {"img", "br", "hr"}


class Balanced(HTMLParser):
    """Texts of HTML whose every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def test_results_show_verdict_scores_audits_and_notice(out: Path) -> None:
    results = hilum.Results.from_json(json.loads((out / "results.json").read_text()))
    html = results._repr_html_()
    page = Balanced(html)
    assert len(html) < 20_000
    assert results.verdict in page.text
    assert hilum.NOTICE in page.text
    assert "http" not in html
    (accuracy,) = [
        score
        for score in results.scores
        if (score.cell, score.name, score.class_) == (results.model["cell"], "accuracy", "overall")
    ]
    assert f"{accuracy.value:.3f}" in page.text
    assert f"{accuracy.low:.3f} to {accuracy.high:.3f}" in page.text
    for finding in results.audits:
        assert (finding.sentence in page.text) == (finding.status in ("fail", "warn"))


def test_hostile_words_stay_words(out: Path) -> None:
    results = hilum.Results.from_json(json.loads((out / "results.json").read_text()))
    finding = replace(results.audits[0], status="fail", title=HOSTILE, sentence=HOSTILE)
    tasks = [{"name": HOSTILE, "verdict": None, "reason": HOSTILE}]
    score = hilum.Score(HOSTILE, HOSTILE, HOSTILE, float("nan"), 0, 0, None, None, HOSTILE, HOSTILE)
    odd = replace(results, title=HOSTILE, verdict=HOSTILE, audits=[finding], tasks=tasks)
    answer = hilum.Prediction(HOSTILE, {HOSTILE: 1.0}, True, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    film = np.zeros((8, 8), np.uint8)
    heat = hilum.Heatmap(np.eye(8, dtype=np.float32), film, HOSTILE, 0.5, "gradcam", HOSTILE)
    for shown in (odd, score, answer, heat):
        page = Balanced(shown._repr_html_())
        assert "script" not in page.tags
        assert HOSTILE in page.text
        assert hilum.NOTICE in page.text


def test_a_score_says_value_interval_and_counts() -> None:
    score = hilum.Score("main", "accuracy", "overall", 0.9, 45, 50, 0.79, 0.96, "wilson", "pass")
    text = Balanced(score._repr_html_()).text
    for words in ("0.900", "0.790 to 0.960", "45 of 50 images", "wilson", "images: pass"):
        assert words in text


def test_a_prediction_shows_every_probability_the_verdict_and_what_was_not_read(
    model: Model, film: str, tmp_path: Path
) -> None:
    answer = model.predict(film)
    text = Balanced(answer._repr_html_()).text
    assert model.verdict in text
    assert all(name in text for name in model.classes)
    assert f"{answer.probabilities['normal']:.3f}" in text or "0.999" in text
    (tmp_path / "none.png").write_bytes(b"no image")
    refused = model.predict(tmp_path / "none.png")
    assert "No answer" in refused._repr_html_()
    assert refused.reason in Balanced(refused._repr_html_()).text
    assert answer == replace(answer, verdict="")  # an equal answer of another audit is equal


def test_a_heat_map_holds_its_pictures(model: Model, film: str) -> None:
    heat = model.explain(film)
    html = heat._repr_html_()
    pngs = [base64.b64decode(text) for text in re.findall(r"base64,([^\"]+)", html)]
    shown = [cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) for png in pngs]
    np.testing.assert_array_equal(shown[0][..., 0], heat.film)
    np.testing.assert_array_equal(shown[1][..., ::-1], heat.render())
    assert model.verdict in Balanced(html).text


def test_bars_of_a_notebook(monkeypatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    advance = bars(StepName("decode and prepare"))
    note(advance, "3 from the cache")
    for done in range(1, 5):
        advance(done, 4)
    advance(1, 2)  # the step begins again
    advance(2, 2)
    text = shown.getvalue()
    for words in ("decode and prepare", "4/4", "2/2", "images", "3 from the cache"):
        assert words in text
