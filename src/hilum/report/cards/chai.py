"""The applied model card of the Coalition for Health AI as XML, version 0.2 of its schema."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from hilum.report import sections
from hilum.report.cards import data_answers as data
from hilum.report.cards import model_answers as model
from hilum.report.cards import score_answers as scores
from hilum.report.cards.checklist import AnsweredItem, Item, answer
from hilum.report.cards.facts import CardFacts, score_label
from hilum.types import NOTICE

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"
SOURCE = "Coalition for Health AI, applied model card, schema v0.2, https://mc.chai.org"
# XML 1.0, section 2.2: characters that no document may hold
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
Values: TypeAlias = Callable[[CardFacts], list[tuple[str, dict[str, Any]]]]


@dataclass(frozen=True, slots=True)
class Group:
    """An element with elements inside."""

    name: str
    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """An element with text: an item; an optional one is left away where it is open."""

    item: Item
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Results:
    """The element `Results`: a label and a value each."""

    values: Values


@dataclass(frozen=True, slots=True)
class Keywords:
    """The element `Keywords`."""


Node: TypeAlias = Group | Leaf | Results | Keywords


def _leaf(name: str, fill: Any = None, add: str = "", *, optional: bool = False) -> Leaf:
    return Leaf(Item(name, "", name, fill, add), optional)


def _score(row: dict[str, Any]) -> dict[str, Any]:
    if row.get("low") is None:
        return {"kind": "single", "value": row["value"]}
    return {
        "kind": "estimate_ci",
        "estimate": row["value"],
        "lower": row["low"],
        "upper": row["high"],
        "level": 95,
    }


def _useful(facts: CardFacts) -> list[tuple[str, dict[str, Any]]]:
    names = [("accuracy", "overall"), ("auroc", "macro")]
    names += [(kind, name) for name in facts.run.classes for kind in ("sensitivity", "specificity")]
    rows = [row for name in names if (row := facts.score(*name)) is not None]
    return [(score_label(row), _score(row)) for row in rows]


def _audited(*ids: str) -> Values:
    def values(facts: CardFacts) -> list[tuple[str, dict[str, Any]]]:
        rows = [row for id_ in ids if (row := facts.audit(id_)) is not None]
        return [(str(row.get("title")), {"kind": "single", "value": row.get("value")})
                for row in rows]  # fmt: skip

    return values


def _metric(name: str, goal: str, values: Values, meaning: Any) -> Group:
    def stated(facts: CardFacts) -> str:
        return goal if facts.scores else ""

    return Group(
        name,
        (
            _leaf("MetricGoal", stated),
            Results(values),
            _leaf("Interpretation", meaning),
            _leaf("TestType", lambda f: scores.external(f) if f.external else scores.internal(f)),
            _leaf("TestingDataDescription", lambda f: _joined(data.sizes(f), data.people(f))),
            _leaf("ValidationProcessAndJustification", lambda f: _joined(
                data.partition(f), data.disjoint(f), scores.uncertainty(f))),
        ),
    )  # fmt: skip


def _joined(*texts: str) -> str:
    return " ".join(text for text in texts if text)


def _caution(facts: CardFacts) -> str:
    return f"{NOTICE} {facts.verdict}" if facts.verdict else ""


def _version(facts: CardFacts) -> str:
    digest = facts.record.get("weights_digest")
    return f"{sections.date(facts.run)}; weights {str(digest)[:12]}" if digest else ""


# Order and names are the schema's; what fills an element is ours.
CARD = Group("AppliedModelCard", (
    Group("BasicInfo", (
        _leaf("ModelName", lambda f: f.title),
        _leaf("ModelDeveloper"),
        _leaf("DeveloperContact"),
    )),
    Group("ReleaseInfo", (
        _leaf("ReleaseStage", lambda f: NOTICE if f.scores else ""),
        _leaf("ReleaseDate", lambda f: sections.date(f.run)),
        _leaf("ReleaseVersion", _version),
        _leaf("GlobalAvailability"),
        _leaf("RegulatoryApproval", optional=True),
    )),
    Group("ModelSummary", (_leaf("Summary", scores.summary), Keywords())),
    Group("UsesAndDirections", (
        _leaf("IntendedUseAndWorkflow", scores.purpose, "a clinical purpose: this tool has none"),
        _leaf("PrimaryIntendedUsers"),
        _leaf("HowToUse", model.specification),
        _leaf("TargetedPatientPopulation", data.population, "whom it is meant for"),
        _leaf("CautionedOutOfScopeSettings", _caution),
    )),
    Group("Warnings", (
        _leaf("KnownRisksAndLimitations", scores.limits),
        _leaf("KnownBiasesOrEthicalConsiderations",
              lambda f: _joined(data.shortcuts(f), scores.fairness(f)), "ethical considerations"),
        _leaf("ClinicalRiskLevel"),
    )),
    Group("TrustIngredients", (
        Group("AISystemFacts", (
            _leaf("OutcomesAndOutputs", model.thresholds),
            _leaf("ModelType", lambda f: _joined(model.kind(f), model.network(f))),
            _leaf("FoundationModels", model.initialisation, optional=True),
            _leaf("InputDataSource", data.sources),
            _leaf("OutputAndInputDataTypes", lambda f: _joined(
                data.acquisition(f), model.preparation(f))),
            _leaf("DevelopmentDataCharacterization", lambda f: _joined(
                data.flow(f), data.people(f), data.missing(f))),
            _leaf("BiasMitigationApproaches", lambda f: _joined(
                data.disjoint(f), model.balance(f), scores.robustness(f))),
            _leaf("OngoingMaintenance"),
            _leaf("Security", optional=True),
            _leaf("Transparency", model.protocol, optional=True),
        )),
        Group("TransparencyInformation", (
            _leaf("FundingSource"),
            _leaf("ThirdPartyInformation", model.software, optional=True),
            _leaf("StakeholdersConsulted"),
        )),
    )),
    Group("KeyMetrics", (
        _metric("UsefulnessUsabilityEfficacy", "To tell the classes apart on test images.",
                _useful, lambda f: _joined(f.verdict, scores.usefulness(f))),
        _metric("FairnessEquity", "To serve groups of patients alike.",
                _audited(*scores.FAIR), scores.fairness),
        _metric("SafetyReliability", "To give probabilities that hold, and to refuse other images.",
                _audited(*scores.SAFE), scores.safety),
    )),
    Group("Resources", (
        _leaf("EvaluationReferences", model.protocol, optional=True),
        _leaf("ClinicalTrial", optional=True),
        _leaf("PeerReviewedPublications"),
        _leaf("ReimbursementStatus", optional=True),
        _leaf("PatientConsentOrDisclosure"),
    )),
    _leaf("Bibliography", lambda f: bibliography(data.citations(f))),
))  # fmt: skip


def chai_card(facts: CardFacts) -> tuple[str, list[AnsweredItem]]:
    """The XML document, and its elements with what the run says of each."""
    rows: list[AnsweredItem] = []
    root = ET.Element(CARD.name, {"xmlns": NAMESPACE})
    for child in CARD.children:
        _add(root, child, facts, rows)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n', rows


def _add(parent: ET.Element, node: Node, facts: CardFacts, rows: list[AnsweredItem]) -> None:
    if isinstance(node, Group):
        inside = ET.SubElement(parent, node.name)
        for child in node.children:
            _add(inside, child, facts, rows)
    elif isinstance(node, Results):
        _add_results(ET.SubElement(parent, "Results"), node.values(facts))
    elif isinstance(node, Keywords):
        words = ET.SubElement(parent, "Keywords")
        for name in ("chest imaging", "classification", *facts.run.classes):
            ET.SubElement(words, "Keyword").text = _legal(name)
    else:
        _add_leaf(parent, node, facts, rows)


def _add_leaf(parent: ET.Element, leaf: Leaf, facts: CardFacts, rows: list[AnsweredItem]) -> None:
    row = answer(leaf.item, facts)
    rows.append(row)
    if leaf.optional and row.state == "open":
        return
    more = f" To add by a person: {row.item.add}." if row.state == "in part" else ""
    ET.SubElement(parent, leaf.item.number).text = _legal(row.text + more)


def _add_results(parent: ET.Element, values: list[tuple[str, dict[str, Any]]]) -> None:
    """The schema asks for one result at least: where there is none, that is the result."""
    for label, value in values or [("Not measured in this run", {"kind": "single", "value": None})]:
        result = ET.SubElement(parent, "MetricResult")
        ET.SubElement(result, "Label").text = _legal(label)
        ET.SubElement(result, "ValueJson").text = json.dumps(value)


def _legal(words: str) -> str:
    return ILLEGAL.sub("\ufffd", words)


def bibliography(citations: list[tuple[str, str]]) -> str:
    """BibTeX, an entry for each data set; the citation stands whole in its note."""
    return "\n".join(
        f"@misc{{data{i}, title = {{{_braced(name)}}}, note = {{{_braced(text)}}}}}"
        for i, (name, text) in enumerate(citations, 1)
    )


def _braced(words: str) -> str:
    return re.sub(r"[{}\\]", "", words)
