"""The benchmark that teaches a source network: nothing of the left-out source may teach."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import own_network
import own_source
from hilum.models import backbones

SOURCES = ("cohen", "nih", "kermany")


@pytest.fixture(scope="module")
def films() -> own_network.Films:
    """Two films of each of 90 patients; the last two sources share some near duplicates."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({
        "dataset": np.repeat(SOURCES, 60),
        "label": rng.choice(["pneumonia", "normal"], 180),
        "finding": rng.choice(["No Finding", "Pneumonia|Edema", "Edema", "Rare"], 180),
        "site": np.repeat(np.arange(45), 4).astype(str),
    })  # fmt: skip
    table.loc[table["finding"].eq("Rare") & (table.index % 2 == 0), "finding"] = "No Finding"
    groups = np.repeat(np.arange(90), 2)
    groups[120:126] = groups[60:66]
    targets, findings = own_network.targets_of(table)
    empty = np.zeros((180, 1), np.float32)
    maps = np.zeros((8, 180, 1, 1, 1), np.float16)
    return own_network.Films(table, groups, empty, maps, targets, findings)


@pytest.mark.parametrize("left_out", SOURCES)
def test_nothing_of_the_left_out_source_teaches_or_validates(
    films: own_network.Films, left_out: str
) -> None:
    taught, held = own_network.divide(films, left_out)
    own = films.table["dataset"].to_numpy() == left_out
    assert not own[np.concatenate([taught, held])].any()
    used = films.groups[np.concatenate([taught, held])]
    assert not set(used) & set(films.groups[own])
    assert not set(films.groups[taught]) & set(films.groups[held])
    shared = {"cohen": 0, "nih": 6, "kermany": 6}[left_out]
    assert len(taught) + len(held) == 120 - shared
    assert 0.1 < len(held) / len(used) < 0.3


def test_each_batch_has_two_different_views_of_rows_that_teach() -> None:
    rows = np.arange(100, 171)
    seen = list(own_network.batches(rows, 10, 64))
    for chosen, views in seen:
        assert views.shape == (2, 64)
        assert (views[0] != views[1]).all()
        assert views.min() >= 0
        assert views.max() < own_network.PLAIN + own_network.AUGMENTED
        assert np.isin(chosen, rows).all()
    counts = np.unique(np.concatenate([chosen for chosen, _ in seen]), return_counts=True)[1]
    assert len(counts) == len(rows)  # an epoch takes every row once
    assert counts.max() - counts.min() <= 1


def test_a_finding_is_asked_of_its_own_source_alone(films: own_network.Films) -> None:
    source = films.table["dataset"].to_numpy()
    for name, column in zip(films.findings, films.targets.T, strict=True):
        own = source == name.split(": ")[0]
        assert np.isnan(column[~own]).all()
        word = name.split(": ")[1]
        there = [word in text.split("|") for text in films.table["finding"][own]]
        assert column[own].tolist() == there
        assert own_network.FEWEST <= sum(there) <= sum(own) - own_network.FEWEST
    assert not any("Rare" in name for name in films.findings)


def test_the_loss_of_labels_is_scikit_learns_where_a_label_is_and_nothing_elsewhere() -> None:
    logits = torch.tensor([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[1.0, torch.nan], [torch.nan, 0.0], [0.0, torch.nan]])
    loss = own_network.loss_of_labels(logits, targets, torch.ones(2))
    p = torch.sigmoid(logits).detach().numpy()
    asked = [p[0, 0], p[1, 1], p[2, 0]]
    assert loss.item() == pytest.approx(log_loss([1, 0, 0], asked), rel=1e-5)
    (slope,) = torch.autograd.grad(loss, logits)
    assert (slope == 0).equal(targets.isnan())


def test_the_loss_of_pairs_holds_the_other_view_fixed() -> None:
    views = torch.randn(8, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = own_network.loss_of_pairs(views.detach(), views)
    assert not loss.requires_grad
    same = torch.cat([views[:4], views[:4]]).detach()
    assert own_network.loss_of_pairs(same, same).item() == pytest.approx(-1)
    assert loss.item() > -0.9


@pytest.mark.slow  # loads the whole network
def test_the_end_continues_the_fixed_maps_as_the_whole_network_does() -> None:
    image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    start, whole = own_network._start(), backbones.build_backbone(own_network.BACKBONE).eval()
    with torch.no_grad():
        last = start.maps(image)[:, -[*start.earlier.values()][-1] :]
        found = own_network.end_of_backbone().eval()(last)
        assert torch.allclose(found, whole(image), atol=1e-4)


def test_a_patient_and_a_web_site_stay_together() -> None:
    patients, sites = np.array([0, 0, 1, 2, 3, 4]), np.array([0, 1, 1, 2, 2, 3])
    found = own_source.joined(patients, sites)
    assert [found.tolist().index(group) for group in found] == [0, 0, 0, 3, 3, 5]


def test_a_film_is_scored_by_heads_that_never_saw_its_patient() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 2)
    labels = np.repeat(rng.permutation(np.arange(30) % 2), 2)
    names = np.eye(30, dtype=np.float32)[groups]  # a head that saw the patient would know
    blind = own_source.scores(names, labels, groups, seeds=1)
    assert roc_auc_score(labels, blind) < 0.6
    seen = np.concatenate([names, labels[:, None]], 1).astype(np.float32)
    assert roc_auc_score(labels, own_source.scores(seen, labels, groups, seeds=1)) == 1


@pytest.mark.parametrize(
    ("sources", "differences", "p", "expected"),
    [
        (["nih", "cohen"], [0.1, 0.1], [0.001, 0.001], ["both"]),
        (["nih", "nih"], [0.1, 0.1], [0.001, 0.001], []),  # one source
        (["nih", "cohen"], [0.1, 0.1], [0.001, 0.06], []),  # one is not sure
        (["nih", "cohen", "kermany"], [0.1, 0.1, -0.1], [0.001, 0.001, 0.001], []),  # one worse
    ],
)
def test_the_rule(
    sources: list[str], differences: list[float], p: list[float], expected: list[str]
) -> None:
    table = pd.DataFrame({"source": sources, "difference": differences, "p": p, "way": "both"})
    counted = own_source.corrected(table.assign(counts=True))
    assert own_source.shipped(counted) == expected
    nothing = own_source.corrected(table.assign(counts=table["source"].eq("nih")))
    assert own_source.shipped(nothing) == []
