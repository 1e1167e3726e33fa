"""The glossary: one source for the page and the report, which covers what readers asked about."""

from pathlib import Path

from hilum.report.glossary import Term, as_markdown, read_glossary, used_in

PAGE = Path(__file__).parents[2] / "docs" / "glossary.md"
ASKED = """
arm, cell, task, mode, stamp, card, recipe, grid, backbone, head, frozen, homologous transfer,
source, probe, gate, stranger, twin, look-alike, cluster, mark, lift, earlier maps, pool, stages,
view, part, official, letterbox, normalise: signed, freezing advice, lineage, digest, temperature,
L2 strength, nats, lbfgs, macro, Brier, ECE, AUPRC, Matthews, Cramér's V, conformal, abstain,
Wilson, Newcombe, DeLong, Holm, McNemar, Wilcoxon, net benefit, decision curve, prevalence shift,
pointing game, GRIM, GroupDRO, SMOTE, bf16, int8, manifest.parquet, seed, train=upstream,
train=text, C-01 to C-27
"""


def test_the_page_is_made_from_the_terms() -> None:
    """Where it is not: python -m hilum.report.glossary > docs/glossary.md."""
    assert PAGE.read_text(encoding="utf-8") == as_markdown(read_glossary())


def test_every_word_that_readers_did_not_understand_is_explained() -> None:
    forms = {form.lower() for term in read_glossary() for form in (term.word, *term.also)}
    asked = [word.strip().lower() for word in ASKED.replace("\n", " ").split(",")]
    assert len(asked) > 60
    assert [word for word in asked if word not in forms] == []


def test_terms_are_short_sorted_and_each_form_belongs_to_one() -> None:
    terms = read_glossary()
    assert len(terms) > 90
    assert [term.anchor for term in terms] == sorted({term.anchor for term in terms})
    forms = [form.lower() for term in terms for form in (term.word, *term.also)]
    assert sorted(forms) == sorted(set(forms))
    for term in terms:
        assert term.meaning[-1] in ".?", term.word
        assert 20 < len(term.meaning) <= 280, (term.word, len(term.meaning))


def test_a_text_finds_its_own_terms_and_no_part_of_a_word() -> None:
    terms = (
        Term("AUROC", "..."),
        Term("Arm", "..."),
        Term("View", "...", ("PA", "AP")),
        Term("Cramér's V", "..."),
    )
    text = "Two arms: AUROC 0.9; the charm of Cramér's V. A pa is no view's name."
    assert [term.word for term in used_in(text, terms)] == ["AUROC", "Arm", "View", "Cramér's V"]
    assert used_in("A map of pa and army.", terms) == ()
    assert terms[3].anchor == "cramers-v"
