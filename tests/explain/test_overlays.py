"""Renderings pixel by pixel; colours against matplotlib's own tables."""

import matplotlib as mpl
import numpy as np
import pytest
from PIL import ImageDraw

from hilum.explain import heatmap_sheets, writer
from hilum.explain import render as overlays
from hilum.explain.heatmap_sheets import HeatmapStyle, HeatmapTile
from hilum.types import CLASS_NAMES, HilumError

FILM = np.arange(256, dtype=np.uint8).reshape(16, 16)
RAMP = np.linspace(0, 1, 256, dtype=np.float32)[None]


@pytest.mark.parametrize("name", ["plasma", "viridis"])
def test_colours_are_matplotlibs(name: str) -> None:
    want = np.rint(mpl.colormaps[name](np.arange(256))[:, :3] * 255)
    found = overlays.coloured(RAMP, overlays.COLOURS[name])[0].astype(float)
    assert np.abs(found - want).max() <= 1


def test_jet_is_red_where_heat_is_high_and_blue_where_it_is_low() -> None:
    """Study 003, figure 8."""
    seen = overlays.coloured(RAMP, overlays.COLOURS["jet"])[0].astype(int)
    assert seen[0, 2] > 100 > seen[0, 0] + seen[0, 1]
    assert seen[-1, 0] > 100 > seen[-1, 1] + seen[-1, 2]


def test_only_jet_is_not_perceptually_ordered() -> None:
    """CIE lightness rises along a good scale: readable in grey and to the colour-blind."""
    import cv2

    def lightness(name: str) -> np.ndarray:
        seen = overlays.coloured(RAMP, overlays.COLOURS[name]).astype(np.float32) / 255
        return cv2.cvtColor(seen, cv2.COLOR_RGB2LAB)[0, :, 0]

    assert sorted(overlays.COLOURS) == ["jet", "plasma", "viridis"]
    for name in ("plasma", "viridis"):
        assert np.diff(lightness(name)).min() > -0.2
    assert np.diff(lightness("jet")).min() < -1


def test_overlay_leaves_the_film_where_there_is_no_heat() -> None:
    share = np.zeros((16, 16), np.float32)
    share[:4, :4] = 0.4
    seen = overlays.render_heat(FILM, share, "overlay")
    assert (seen[4:] == overlays.grey(FILM)[4:]).all()
    colour = overlays.coloured(share[:1, :1], overlays.COLOURS["plasma"])[0, 0].astype(float)
    want = np.rint(FILM[2, 2] * (1 - 0.24) + colour * 0.24)
    assert np.abs(seen[2, 2] - want).max() <= 1


def test_overlay_draws_a_line_at_half_of_the_most() -> None:
    share = np.zeros((64, 64), np.float32)
    share[16:48, 16:48] = 1
    seen = overlays.render_heat(np.zeros((64, 64), np.uint8), share, "overlay")
    ink = overlays.coloured(np.full((1, 1), 0.5, np.float32), overlays.COLOURS["plasma"])[0, 0]
    inked = [np.abs(seen[y, 30].astype(int) - ink).max() for y in range(64)]
    assert min(inked) < 20
    assert abs(int(np.argmin(inked[:32])) - 16) <= 1
    assert inked[30] > 60
    assert not seen[:14].any()


def test_mask_is_the_heat_alone_and_multiply_is_the_product() -> None:
    share = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    mask = overlays.render_heat(FILM, share, "mask", "viridis")
    assert (mask == overlays.coloured(share, overlays.COLOURS["viridis"])).all()
    product = overlays.render_heat(FILM, share, "multiply")
    assert (product[:, :, 0] == np.rint(FILM * share)).all()
    assert (product[:, :, 0] == product[:, :, 2]).all()


def test_multiplication_hides_dark_lungs_and_says_so() -> None:
    lungs, hot = np.full((8, 8), 4, np.uint8), np.ones((8, 8), np.float32)
    assert (
        overlays.render_heat(lungs, hot, "multiply").max() == 4
    )  # all of the heat, next to nothing
    assert "Dark places have no heat" in overlays.RENDERINGS["multiply"].warning
    assert not overlays.RENDERINGS["overlay"].warning


@pytest.mark.parametrize(
    ("look", "hint"),
    [
        (HeatmapStyle("overly"), "did you mean 'overlay'"),
        (HeatmapStyle(colours="virdis"), "did you mean 'viridis'"),
    ],
)
def test_unknown_looks_are_refused(look: HeatmapStyle, hint: str) -> None:
    with pytest.raises(HilumError, match=hint):
        look.check()


@pytest.mark.parametrize("render", sorted(overlays.RENDERINGS))
def test_the_film_always_stands_beside_its_heat(render: str) -> None:
    film = np.random.default_rng(0).integers(0, 256, (512, 400)).astype(np.uint8)
    tile = HeatmapTile(film, np.zeros((512, 400), np.float32), ("COVID-19, p = 0.9", "film.png"))
    page = heatmap_sheets.single(tile, HeatmapStyle(render), "Grad-CAM")
    top = next(y for y in range(200) if (page[y : y + 512, 16:416, 0] == film).all())
    assert (page[top : top + 512, 16:416] == overlays.grey(film)).all()


def test_a_sheet_has_room_for_all_and_shortens_long_names() -> None:
    tiles = [
        HeatmapTile(
            np.full((s, 224), 90, np.uint8), np.zeros((s, 224), np.float32), ("x" * 300, "y"), ok
        )
        for s, ok in ((224, True), (180, False), (224, None), (100, True))
    ]
    page = heatmap_sheets.draw_sheet(tiles, HeatmapStyle(), "Grad-CAM")
    assert page.shape[1] == 16 + 3 * (224 * 2 + 8 + 16)
    assert (page[16:240, 16:240] == 90).all()
    assert (page[:, -16:] == 255).all()


@pytest.mark.parametrize("asked", sorted(CLASS_NAMES))
def test_a_sheet_shows_the_words_of_every_class_in_full(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    text = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda *a, **k: (written.append(a[2]), text(*a, **k))
    )
    row: dict[str, object] = {"label": "bacterial_pneumonia", "path": "films/a.png"}
    lines = writer.words(row, asked, 0.0431, empty=True)
    tile = HeatmapTile(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.float32), lines)
    heatmap_sheets.draw_sheet([tile], HeatmapStyle(), "Grad-CAM")
    assert set(lines) <= set(written)
    assert not any("…" in line for line in written)
    assert "marks half the maximum. Research use only." in " ".join(written)  # the notes, in full
    assert "0.043" in lines[0]
    assert lines[-1] == "a.png"
