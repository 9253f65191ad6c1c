"""Alignments carry the very edits that are counted."""

from test_wer import pairs

from steno.evaluation.alignment import align
from steno.evaluation.wer import word_errors


def test_every_kind_has_its_place() -> None:
    found = align(["a", "b", "c", "d"], ["a", "x", "c", "e", "d"])
    assert [(pair.kind, pair.reference, pair.hypothesis) for pair in found] == [
        ("correct", "a", "a"),
        ("substitution", "b", "x"),
        ("correct", "c", "c"),
        ("insertion", None, "e"),
        ("correct", "d", "d"),
    ]
    assert [pair.kind for pair in align(["a", "b"], [])] == ["deletion", "deletion"]
    assert align([], []) == []


def test_a_thousand_alignments_spell_both_texts_and_hold_the_counted_edits() -> None:
    for reference, hypothesis in pairs(1000, seed=2):
        found = align(reference.split(), hypothesis.split())
        assert [pair.reference for pair in found if pair.reference is not None] == reference.split()
        assert [pair.hypothesis for pair in found if pair.hypothesis is not None] == hypothesis.split()
        kinds = [pair.kind for pair in found]
        counts = word_errors(reference, hypothesis)
        assert kinds.count("substitution") == counts.substitutions
        assert kinds.count("deletion") == counts.deletions
        assert kinds.count("insertion") == counts.insertions
        assert all((pair.kind == "correct") == (pair.reference == pair.hypothesis) for pair in found)
