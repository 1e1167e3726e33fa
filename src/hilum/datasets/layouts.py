"""The table of published layouts that are recognised and read, by the name of their card."""

from hilum.datasets import (
    actualmed,
    chexpert,
    cohen,
    covid_ct,
    covid_cxnet,
    covid_xray_5k,
    covidx,
    figure1,
    kermany,
    mendeley,
    montgomery_shenzhen,
    nih,
    radiography,
    sarscov2_ct,
    v7_masks,
)
from hilum.datasets.base import Reader

READERS: dict[str, Reader] = {
    "cohen": cohen.READER,
    "kermany": kermany.READER,
    "nih": nih.READER,
    "chexpert": chexpert.READER,
    "covid_xray_5k": covid_xray_5k.READER,
    "covidx": covidx.READER,
    "radiography": radiography.READER,
    "covid_cxnet": covid_cxnet.READER,
    "figure1": figure1.READER,
    "actualmed": actualmed.READER,
    "sarscov2_ct": sarscov2_ct.READER,
    "covid_ct": covid_ct.READER,
    "mendeley": mendeley.READER,
    "montgomery_shenzhen": montgomery_shenzhen.READER,
    "v7_masks": v7_masks.READER,
}
