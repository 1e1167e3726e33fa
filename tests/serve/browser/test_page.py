"""The page in a browser: by mouse, keyboard, screen reader and in print."""

import base64
import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pandas as pd
import pytest
from films_to_send import CLASSES, JUDGED, encoded, formats, grey, multipart
from serving import Tiny, running

from hilum.experiment import predict_files
from hilum.progress import silent
from hilum.serve.limits import ServerLimits
from hilum.serve.server import Address, Server

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
SHOWN = {"covid19": "COVID-19", "normal": "normal"}
Open = Callable[..., "Page"]


def send(page: "Page", *films: Path) -> None:
    """Choose films, and wait for their answers."""
    before = page.locator("article.film").count()
    page.set_input_files("#files", list(films))
    page.locator("article.film").nth(before + len(films) - 1).wait_for()
    page.locator("#bar").wait_for(state="hidden")


def card(page: "Page", name: str) -> "Locator":
    return page.locator("article.film").filter(has=page.get_by_role("heading", name=name))


def test_verdict_and_failed_audits_stand_above_everything(open_page: Open) -> None:
    page = open_page()
    verdict = page.locator("#verdict")
    verdict.get_by_text(JUDGED["verdict"]).wait_for()
    assert f"Failed audit: {JUDGED['failed'][0]}" in verdict.inner_text()
    top, drop = (page.locator(name).bounding_box()["y"] for name in ("#verdict", "#drop"))
    assert top < drop
    assert "failed" in verdict.get_attribute("class")
    assert page.get_by_text("Research use only. Not for clinical use.").is_visible()


def test_answers_are_those_of_the_server(open_page: Open, films: Path, live: str) -> None:
    page = open_page()
    names = ("eight.png", "sixteen.dcm", "film.tif")
    send(page, *(films / name for name in names))
    assert page.locator("article.film h3").all_inner_texts() == list(names)
    data = {name: (films / name).read_bytes() for name in names}
    answer = httpx.post(f"{live}/v1/predict", files=multipart(data), timeout=120).json()
    for row in answer["predictions"]:
        shown = card(page, row["path"])
        bars = shown.get_by_role("listitem")
        assert bars.count() == len(CLASSES)
        for name, text in zip(("COVID-19", "normal"), bars.all_inner_texts(), strict=True):
            key = {"COVID-19": "covid19"}.get(name, name)
            assert text.split("\n")[:2] == [name, f"{row['probabilities'][key]:.3f}"]
            assert f"threshold {answer['thresholds'][key]:.3f}" in text
        outcome = shown.locator(".outcome").inner_text()
        assert ("The model abstains" in outcome) == row["abstain"]
        assert ("Most probable" in outcome) != row["abstain"]
        assert (row["reason"][1:] in outcome) or not row["reason"]
        assert ("no test of the model" in outcome) == bool(row["seen"])
        listed = page.locator("#rows tr").filter(has_text=row["path"]).locator(".col-label")
        assert listed.inner_text() == ("abstains" if row["abstain"] else SHOWN[row["label"]])
    assert "the file has no window" in card(page, "sixteen.dcm").locator("figcaption").inner_text()


def test_a_file_that_is_no_film_says_why(open_page: Open, films: Path) -> None:
    page = open_page()
    send(page, films / "no film.png", films / "eight.png")
    shown = card(page, "no film.png")
    assert "Not read" in shown.inner_text()
    assert "got a text file" in shown.inner_text()
    assert shown.locator("canvas").count() == 0
    assert card(page, "eight.png").locator("canvas").is_visible()


def test_a_file_that_is_too_large_is_not_sent(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "huge.dcm").write_bytes(bytes(33 * 2**20))
    page = open_page()
    page.locator("#failed").wait_for()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    send(page, tmp_path / "huge.dcm")
    assert "at most 32 MiB" in card(page, "huge.dcm").inner_text()
    assert sent == []


def test_a_folder_keeps_its_paths(open_page: Open, films: Path) -> None:
    page = open_page()
    page.set_input_files("#folder", str(films))
    page.locator("article.film").nth(len(formats())).wait_for()
    page.locator("#bar").wait_for(state="hidden")
    paths = page.locator("#rows tr td:first-child").all_inner_texts()
    assert sorted(paths) == sorted(f"ward/{path.name}" for path in films.iterdir())
    done = page.locator("#progress").inner_text()
    assert f"{len(paths)} of {len(paths)} films done: " in done
    assert sum(map(int, re.findall(r"(\d+) (?:answered|abstained|not read)", done))) == len(paths)


DROP = """([zone, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "dropped.png"));
  zone.dispatchEvent(new DragEvent("dragover", { dataTransfer: transfer, bubbles: true }));
  zone.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}"""


def test_a_film_that_is_dropped(open_page: Open) -> None:
    page = open_page()
    zone = page.locator("#drop").element_handle()
    page.evaluate(DROP, [zone, base64.b64encode(encoded(".png", grey())).decode()])
    card(page, "dropped.png").locator("canvas").wait_for()


MEAN = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i];
  return sum / (data.length / 4);
}"""


def test_window_by_mouse_and_keys_and_the_heat_map_by_its_slider(
    open_page: Open, films: Path
) -> None:
    page = open_page()
    send(page, films / "eight.png")
    stage, canvas = page.locator(".stage"), page.locator("canvas.base")
    window = page.locator("output.window")
    page.get_by_role("button", name="Whole film").click()
    mean = canvas.evaluate(MEAN)
    assert mean == pytest.approx(grey(0).mean(), abs=0.5)
    assert page.locator("img.heat").is_hidden()
    assert page.get_by_role("slider", name="Heat map").is_disabled()
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 100, steps=4)
    page.mouse.up()
    assert canvas.evaluate(MEAN) > mean + 20
    before = window.inner_text()
    stage.press("ArrowRight")
    assert window.inner_text() != before
    page.get_by_role("button", name="Reset").click()
    assert "level 128, width 255" in window.inner_text()
    assert canvas.evaluate(MEAN) == pytest.approx(mean)
    stage.press("ArrowDown")
    assert canvas.evaluate(MEAN) < mean
    page.get_by_role("button", name="With heat map").click()
    assert page.locator("img.heat").is_visible()
    page.get_by_role("slider", name="Heat map").fill("0")
    assert page.locator("img.heat").evaluate("(image) => image.style.opacity") == "0"


def test_the_table_is_sorted_and_its_csv_is_that_of_the_command(
    open_page: Open, films: Path, tiny: Tiny, tmp_path: Path
) -> None:
    page = open_page()
    names = ("sixteen.png", "eight.dcm", "no film.png", "film.jpg")
    send(page, *(films / name for name in names))
    head = page.get_by_role("button", name="p_normal")
    head.click()
    values = page.locator("#rows tr td:nth-child(4)").all_inner_texts()
    numbers = [float(value) for value in values if value]
    assert numbers == sorted(numbers)
    head.click()
    numbers = [float(v) for v in page.locator("#rows tr td:nth-child(4)").all_inner_texts() if v]
    assert numbers == sorted(numbers, reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("p_normal")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    got = [*csv.DictReader(io.StringIO(Path(download.value.path()).read_bytes().decode()))]
    out = tmp_path / "preds.csv"
    paths = [films / name for name in names]
    predict_files(tiny.folder, paths, out, silent)
    written = [*csv.DictReader(io.StringIO(out.read_text()))]
    assert list(got[0]) == list(written[0])
    for ours, theirs, name in zip(got, written, names, strict=True):
        theirs["reason"] = theirs["reason"].removeprefix(f"{films / name}: ")
        assert ours == theirs | {"path": name}
    assert len(pd.read_csv(out)) == len(got) == 4


def test_a_name_is_text_never_markup_nor_a_formula(open_page: Open, tmp_path: Path) -> None:
    odd = tmp_path / "=cmd()<img src=x onerror=alert(1)>.png"
    odd.write_bytes(encoded(".png", grey()))
    page = open_page()
    send(page, odd)
    assert page.locator("article.film h3").inner_text() == odd.name
    assert page.locator("h3 img, td img").count() == 0
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    assert "\"'=cmd()" in Path(download.value.path()).read_text()


def test_a_server_with_a_token_asks_for_it(open_page: Open, tiny: Tiny, tmp_path: Path) -> None:
    key = tmp_path / "token"
    key.write_text("0123456789abcdef-right")
    server = Server.of(tiny.folder, Address(port=0), key, ServerLimits(decoders=1))
    with running(server) as url:
        page = open_page(url)
        field = page.get_by_label("This server asks for a token")
        field.wait_for()
        field.fill("wrong")
        field.press("Enter")
        page.get_by_text("got another token").wait_for()
        field.fill(key.read_text())
        field.press("Enter")
        page.get_by_text(JUDGED["verdict"]).wait_for()
        assert field.is_hidden()
        page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(open_page: Open, films: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 844})
    send(page, films / "eight.png", films / "film.tif", films / "no film.png")
    page.locator("summary").click()
    page.locator("#token-form").evaluate("(form) => { form.hidden = false; }")
    found: list[dict[str, Any]] = axe.run(page).response["violations"]
    serious = [
        (row["id"], row["nodes"][0]["html"])
        for row in found
        if row["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_is_reached_by_the_keyboard(open_page: Open, films: Path) -> None:
    page = open_page()
    send(page, films / "eight.png")
    page.locator("h1").click()
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    controls = {"files", "folder", "csv", "clear", "stage", "opacity", "brightness", "contrast"}
    assert controls | {"outline", "reset"} <= reached


def test_in_print_there_are_verdict_notice_and_answers(
    open_page: Open, films: Path, tmp_path: Path
) -> None:
    page = open_page()
    send(page, films / "eight.png")
    page.emulate_media(media="print")
    text = page.locator("body").inner_text()
    for words in (JUDGED["verdict"], "Failed audit", "Not for clinical use", "COVID-19"):
        assert words in text
    for hidden in ("#drop", ".controls", "#csv"):
        assert page.locator(hidden).is_hidden()
    assert page.locator("canvas.base").is_visible()
    assert page.pdf(path=tmp_path / "page.pdf", print_background=False)[:5] == b"%PDF-"
    assert (tmp_path / "page.pdf").stat().st_size > 10_000
