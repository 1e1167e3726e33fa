"""Cards: complete, filled from the run alone, and readable by what they are written for."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from huggingface_hub import ModelCard

from conftest import Built
from hilum.report.cards import CARDS, write_cards
from hilum.report.cards.chai import NAMESPACE
from hilum.report.cards.checklist import PERSON, UNRECORDED, answer_all
from hilum.report.cards.claim import CLAIM
from hilum.report.cards.facts import read_facts
from hilum.report.cards.key_facts import key_facts
from hilum.report.cards.tripod import TRIPOD
from hilum.report.run_folder import read_run
from hilum.types import NOTICE, MissingError

# our reading of the schema v0.2: the elements of each element in their order, "?" may be absent
METRIC = "MetricGoal Results Interpretation TestType TestingDataDescription " \
         "ValidationProcessAndJustification"  # fmt: skip
SCHEMA = {
    "AppliedModelCard": "BasicInfo ReleaseInfo ModelSummary UsesAndDirections Warnings "
    "TrustIngredients KeyMetrics Resources Bibliography",
    "BasicInfo": "ModelName ModelDeveloper DeveloperContact",
    "ReleaseInfo": "ReleaseStage ReleaseDate ReleaseVersion GlobalAvailability EHRCompatibility? "
    "RegulatoryApproval?",
    "ModelSummary": "Summary Keywords",
    "UsesAndDirections": "IntendedUseAndWorkflow PrimaryIntendedUsers HowToUse "
    "TargetedPatientPopulation CautionedOutOfScopeSettings",
    "Warnings": "KnownRisksAndLimitations KnownBiasesOrEthicalConsiderations ClinicalRiskLevel",
    "TrustIngredients": "AISystemFacts TransparencyInformation",
    "AISystemFacts": "OutcomesAndOutputs ModelType FoundationModels? InputDataSource "
    "OutputAndInputDataTypes DevelopmentDataCharacterization BiasMitigationApproaches "
    "OngoingMaintenance Security? Transparency?",
    "TransparencyInformation": "FundingSource ThirdPartyInformation? StakeholdersConsulted",
    "KeyMetrics": "UsefulnessUsabilityEfficacy FairnessEquity SafetyReliability",
    **dict.fromkeys(("UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability"), METRIC),
    "MetricResult": "Label ValueJson",
    "Resources": "EvaluationReferences? ClinicalTrial? PeerReviewedPublications "
    "ReimbursementStatus? PatientConsentOrDisclosure",
}
MANY = {"Results": "MetricResult", "Keywords": "Keyword"}


def against_schema(element: ET.Element) -> list[str]:
    """What of an element is not as SCHEMA has it."""
    tag = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    inside = [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]
    below = [fault for child in element for fault in against_schema(child)]
    if tag in MANY:
        right = set(inside) == {MANY[tag]}
    elif tag in SCHEMA:
        form = "".join(f"({re.escape(name.rstrip('?'))} ){name[len(name.rstrip('?')):]}"
                       for name in SCHEMA[tag].split())  # fmt: skip
        right = bool(re.fullmatch(form, "".join(f"{name} " for name in inside)))
    else:
        right = not inside and (tag == "Bibliography" or bool((element.text or "").strip()))
    return below if right else [f"{tag}: {inside}", *below]


@pytest.fixture(scope="module")
def cards(study: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("cards")
    assert [one.path.name for one in write_cards(study.folder, out)] == [c.file for c in CARDS]
    return {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()}


def test_the_checklists_are_complete_and_in_order() -> None:
    assert [item.number for item in CLAIM.items] == [str(i) for i in range(1, 45)]
    numbers = [item.number for item in TRIPOD.items]
    assert len(numbers) == len(set(numbers)) == 52
    leading = [int(re.match(r"\d+", number)[0]) for number in numbers]  # type: ignore[index]
    assert list(dict.fromkeys(leading)) == list(range(1, 28))
    for item in (*CLAIM.items, *TRIPOD.items):
        assert item.asks
        assert item.section
        assert item.fill is not None or not item.add


@pytest.mark.parametrize("checklist", [CLAIM, TRIPOD], ids=lambda one: str(one.name))
def test_every_item_is_on_its_page_with_an_answer_or_marked_open(
    checklist: Any, study: Built, cards: dict[str, str]
) -> None:
    page = cards["CLAIM_2024.md" if checklist is CLAIM else "TRIPOD_AI.md"]
    rows = answer_all(checklist, read_facts(study.folder))
    assert re.findall(r"^\*\*(\d+[a-z]?)\. ", page, re.M) == [row.item.number for row in rows]
    still = sum(row.state == "open" for row in rows)
    assert page.count(PERSON) + page.count(UNRECORDED) == still
    assert f"{len(rows) - still} of {len(rows)}" in page
    assert f"{still} are open" in page
    assert checklist.source in page
    assert NOTICE in page
    for row in rows:
        assert (row.text == PERSON) == (row.item.fill is None)


def test_change_the_run_and_the_answers_change(copied: Path, cards: dict[str, str]) -> None:
    """Each fact is altered at its place in the run, and must be met on the cards."""
    record = json.loads((copied / "results.json").read_text())
    chosen = record["model"]["cell"]
    for row in record["scores"]:
        if (row["cell"], row["name"]) == (chosen, "accuracy"):
            row.update(value=0.4321, k=380, low=0.4, high=0.46)
    record |= {"verdict": "A verdict of this test.", "limits": ["A limit of this test."]}
    record["environment"]["torch"] = "9.8.7"
    record["split"]["seed"] = 4711
    record["model"]["temperature"] = 7.654
    record["audits"][2]["sentence"] = "A finding of this test."
    record["data"]["sets"]["cohen"]["licence"] = "a licence of this test"
    (copied / "results.json").write_text(json.dumps(record))
    table = pd.read_parquet(copied / "manifest.parquet")
    table["view"], table["age"] = "AP supine", 61.0
    table.to_parquet(copied / "manifest.parquet")
    (copied / "recipe.toml").write_text(
        '[[train.stages]]\nname = "head"\ntrainable = "head"\noptimiser = "sgd"\nlr = 0.0625\n'
    )
    write_cards(copied, copied / "cards")
    made = {path.name: path.read_text() for path in (copied / "cards").iterdir()}
    every = ("0.432 (95% interval 0.400 to 0.460; 380 of", "A verdict of this test.",
             "A limit of this test.", "torch 9.8.7", "4711", "7.654", "A finding of this test.",
             "a licence of this test", "View: AP supine", "median age 61", "lr 0.0625")  # fmt: skip
    for text in every:
        for name in ("TRIPOD_AI.md", "CLAIM_2024.md"):
            if (text, name) != ("7.654", "CLAIM_2024.md"):  # which does not ask for it
                assert text in made[name], (text, name)
                assert text not in cards[name]
    assert '"estimate": 0.4321' in made["chai_model_card.xml"]
    assert made["MODEL_CARD.md"].index("A verdict of this test.") < 2500


def test_what_is_not_recorded_is_open_and_never_invented(binary: Built, tmp_path: Path) -> None:
    least = write_cards(binary.folder, tmp_path)
    rows = {row.item.number: row for row in answer_all(CLAIM, read_facts(binary.folder))}
    for number in ("7", "9", "12", "13", "19", "23", "24", "25", "36", "40", "42"):
        assert rows[number].text == UNRECORDED, number
    assert rows["37"].state == "answered"
    assert all(one.answered < one.items / 2 for one in least)
    text = (tmp_path / "chai_model_card.xml").read_text()
    assert against_schema(ET.fromstring(text)) == []  # noqa: S314 - our own
    assert "Not measured in this run" in text


def test_hugging_face_reads_the_model_card(cards: dict[str, str], study: Built) -> None:
    card = ModelCard(cards["MODEL_CARD.md"])
    assert (card.data.library_name, card.data.pipeline_tag) == ("hilum", "image-classification")
    assert card.data.license == "other"
    facts = read_facts(study.folder)
    found = {result.metric_type: result for result in card.data.eval_results}
    for name, key in (("accuracy", ("accuracy", "overall")), ("roc_auc", ("auroc", "macro"))):
        row = facts.score(*key)
        assert row is not None
        assert found[name].metric_value == row["value"]
        assert f"{row['low']:.3f} to {row['high']:.3f}" in found[name].metric_name
    assert card.data.model_name == facts.title
    assert facts.verdict in card.text.replace("\\", "")


def test_a_licence_is_the_one_that_was_chosen(study: Built, tmp_path: Path) -> None:
    write_cards(study.folder, tmp_path, "cc-by-nc-4.0")
    card = ModelCard.load(tmp_path / "MODEL_CARD.md")
    assert card.data.license == "cc-by-nc-4.0"
    assert "only a person can choose it" not in card.text


def test_the_chai_card_is_as_the_schema_has_it(cards: dict[str, str]) -> None:
    root = ET.fromstring(cards["chai_model_card.xml"])  # noqa: S314 - our own
    assert root.tag == f"{{{NAMESPACE}}}AppliedModelCard"
    assert against_schema(root) == []
    root.remove(root[1])
    assert against_schema(root) != []  # the check sees what is missing
    values = [json.loads(str(one.text)) for one in root.iter(f"{{{NAMESPACE}}}ValueJson")]
    assert {value["kind"] for value in values} <= {"estimate_ci", "single"}
    labels = [str(one.text) for one in root.iter(f"{{{NAMESPACE}}}Label")]
    assert not any("interval" in label for label in labels)


def test_hostile_words_stay_words(hostile: Built, tmp_path: Path) -> None:
    path = hostile.folder / "results.json"
    before = path.read_text()
    record = json.loads(before)
    record["title"] = 'a: "b"\n---\nlicense: mit\u2028\x07\u0085\ufeff [x](http://e.example) `c`'
    try:
        path.write_text(json.dumps(record))
        write_cards(hostile.folder, tmp_path)
    finally:
        path.write_text(before)
    card = ModelCard.load(tmp_path / "MODEL_CARD.md")
    assert card.data.license == "other"
    assert card.data.model_name.startswith('a: "b"\n---\nlicense: mit')
    assert "\\[x\\](http://e.example) \\`c\\`" in card.text
    assert "<script" not in card.text.replace("\\<", "")
    root = ET.fromstring((tmp_path / "chai_model_card.xml").read_text())  # noqa: S314 - our own
    assert against_schema(root) == []


def test_cards_name_no_place_on_this_machine(cards: dict[str, str], study: Built) -> None:
    for name, text in cards.items():
        assert str(study.folder) not in text, name
        assert str(Path.home()) not in text, name


def test_the_report_shows_the_key_facts_folded(study: Built) -> None:
    rows = dict(key_facts(read_run(study.folder)))
    assert "temperature of 1.310" in rows["Calibration"]
    begin = study.html.index('<section id="model">')
    section = study.html[begin : study.html.index("</section>", begin)]
    assert section.startswith(
        '<section id="model">\n<details><summary><h2>Model card</h2></summary>'
    )
    for words in ("temperature of 1.310", "hilum card RUN --out DIR"):
        assert words in section


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="without it"):
        write_cards(tmp_path, tmp_path / "cards")
    assert not (tmp_path / "cards").exists()
