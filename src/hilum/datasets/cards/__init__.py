"""The table of public datasets: what each holds, where to get it, what is known against it."""

from hilum.datasets.cards import masks, mixtures, originals, slices
from hilum.datasets.cards.card import Convention, DatasetCard, Download

__all__ = ["CARDS", "Convention", "DatasetCard", "Download"]

CARDS: dict[str, DatasetCard] = {
    "cohen": originals.COHEN,
    "kermany": originals.KERMANY,
    "nih": originals.NIH,
    "chexpert": originals.CHEXPERT,
    "covid_xray_5k": mixtures.COVID_XRAY_5K,
    "covidx": mixtures.COVIDX,
    "radiography": mixtures.RADIOGRAPHY,
    "covid_cxnet": originals.COVID_CXNET,
    "figure1": originals.FIGURE1,
    "actualmed": originals.ACTUALMED,
    "sarscov2_ct": slices.SARSCOV2_CT,
    "covid_ct": slices.COVID_CT,
    "mendeley": mixtures.MENDELEY,
    "montgomery_shenzhen": masks.MONTGOMERY_SHENZHEN,
    "v7_masks": masks.V7_MASKS,
}
