"""Tables, confusions, calibration and normalisation."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from made import evaluation, measured, spoken

from steno.errors import ManifestError, StenoError
from steno.evaluation.analysis import analyse
from steno.evaluation.calibration import calibration, reliability, word_confidences
from steno.evaluation.confusions import confusions
from steno.evaluation.measure import LeftOut
from steno.evaluation.normalization import Normalization, common_alphabet
from steno.evaluation.tables import LEAST, breakdowns, signal_to_noise_ratios
from steno.levels import signal_to_noise

# ---- tables ----------------------------------------------------------------------------------------------------


def test_tables_part_the_utterances() -> None:
    rows = [
        measured("a", "a b c d", "a b c d", speaker="x", seconds=1.0),
        measured("b", "a b c d", "a b", speaker="y", seconds=4.0),
        measured("c", "a b c d", "a b c x", speaker="y", seconds=5.0),
    ]
    tables = {table.name: table for table in breakdowns(rows, [5.0, None, 60.0])}
    assert [(row.label, row.utterances, row.words.rate) for row in tables["speaker"].rows] == [
        ("y", 2, 3 / 8),
        ("x", 1, 0.0),
    ]
    assert [(row.label, row.utterances) for row in tables["duration"].rows] == [
        ("below 2 s", 1),
        ("2 to 5 s", 1),
        ("5 to 10 s", 1),
    ]
    assert [row.label for row in tables["rate"].rows] == [
        "below 1 words/s",
        "1 to 1.5 words/s",
        "4 words/s and above",
    ]
    assert [(row.label, row.utterances) for row in tables["snr"].rows] == [("below 10 dB", 1), ("50 dB and above", 1)]
    assert all(row.interval is None for table in tables.values() for row in table.rows)


def test_an_interval_needs_enough_utterances_and_a_table_needs_rows() -> None:
    rows = [measured(str(n), "a b", "a x" if n % 2 else "a b", speaker=None) for n in range(LEAST)]
    tables = {table.name: table for table in breakdowns(rows, [None] * LEAST)}
    assert set(tables) == {"duration", "rate"}
    (row,) = tables["duration"].rows
    assert row.interval is not None
    assert row.interval.low < 0.25 < row.interval.high
    assert sum(row.utterances for row in tables["rate"].rows) == LEAST


def test_noise_lowers_the_ratio(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    tone = np.sin(np.arange(16_000)).astype(np.float32)
    tone[8_000:] = 0
    ratios = [
        signal_to_noise((tone + level * generator.standard_normal(16_000)).astype(np.float32), 16_000)
        for level in (0.001, 0.01, 0.1)
    ]
    assert ratios == sorted(ratios, reverse=True)
    # The tone's power is 1/2, the noise's the square of its level.
    assert ratios[1] == pytest.approx(10 * np.log10((0.5 + 1e-4) / 1e-4), abs=1.5)
    (good, *_), gone = spoken(tmp_path, 1), measured("gone", "a", "a", audio=tmp_path / "gone.wav")
    found = signal_to_noise_ratios([good, gone])
    assert found[0] is not None
    assert found[1] is None


# ---- confusions ------------------------------------------------------------------------------------------------


def test_the_most_frequent_errors_come_first() -> None:
    rows = [measured(str(n), "to be or not", heard) for n, heard in enumerate(["two be or", "two be a or not", "bee"])]
    found = confusions([row.scored for row in rows])
    first = found.substituted[0]
    assert (first.reference, first.hypothesis, first.count, first.occurrences) == ("to", "two", 2, 3)
    assert {one.word: one.count for one in found.deleted}["not"] == 2
    assert [(one.word, one.count, one.occurrences) for one in found.inserted] == [("a", 1, 0)]
    assert len(confusions([row.scored for row in rows], most=1).substituted) == 1


# ---- calibration -----------------------------------------------------------------------------------------------


def test_honest_confidences_have_no_error() -> None:
    generator = np.random.default_rng(0)
    confidences = generator.random(20_000)
    right = generator.random(20_000) < confidences
    honest = reliability(list(zip(confidences.tolist(), right.tolist(), strict=True)))
    assert honest.error < 0.02
    assert [one.words for one in honest.bins] == pytest.approx([2000] * 10, rel=0.1)
    boastful = reliability([(1.0, bool(one)) for one in right])
    assert boastful.error == pytest.approx(1 - right.mean())
    assert len(boastful.bins) == 1


def test_a_word_is_right_where_the_alignment_says_so() -> None:
    one = measured("a", "the cat sat", "a the hat sat", confidence=0.5)
    assert word_confidences(one, Normalization()) == [(0.5, False), (0.5, True), (0.5, False), (0.5, True)]
    found = calibration(evaluation([one]))
    assert found is not None
    assert (found.words, found.right, found.error) == (4, 0.5, 0.0)


def test_confidences_follow_normalisation_or_are_left_out() -> None:
    one = measured("a", "it's well known", "it's well-known")
    split = measured("a", "it's well known", "it's well known")
    parted = type(one)(one.utterance, split.scored, one.words)
    assert word_confidences(parted, Normalization()) == [(0.9, True)] * 3
    assert word_confidences(parted, Normalization("none")) == []
    assert calibration(evaluation([measured("a", "b", "b", confidence=None)])) is None


# ---- the whole -------------------------------------------------------------------------------------------------


def test_everything_goes_into_json(tmp_path: Path) -> None:
    found = analyse(evaluation(spoken(tmp_path, 12), left_out=[LeftOut("x", "has no text")]))
    report = orjson.loads(orjson.dumps(found.to_dict()))
    assert report["utterances"] == 12
    assert report["wer"] == pytest.approx(4 / 36)
    assert report["wer_interval_95_by_speaker"]["speakers"] == 3
    assert report["normalization"]["name"] == "steno"
    assert report["decoding"] == "greedy"
    assert report["tables"]["speaker"][0] == {
        "label": "s0",
        "utterances": 4,
        "interval": None,
        "wer": pytest.approx(1 / 3),
        "words": {"substitutions": 4, "deletions": 0, "insertions": 0, "reference": 12},
    }
    assert report["confusions"]["substituted"] == [
        {"reference": "cd", "hypothesis": "dd", "count": 4, "occurrences": 12}
    ]
    assert report["results"][0]["words"][0]["confidence"] == 0.9
    assert report["calibration"]["error"] == pytest.approx(abs(32 / 36 - 0.9))
    assert report["failed"] == [{"id": "x", "reason": "has no text"}]
    assert [one.scored.id for one in found.worst] == ["u00", "u03", "u06", "u09"]
    assert found.metrics()["expected_calibration_error"] == report["calibration"]["error"]


def test_nothing_scored_is_an_error() -> None:
    with pytest.raises(ManifestError, match="no utterance has text"):
        analyse(evaluation([], left_out=[LeftOut("x", "has no text")]))
    with pytest.raises(ManifestError, match="no utterance could be evaluated"):
        analyse(evaluation([], left_out=[LeftOut("x", "has no text"), LeftOut("y", "gone")]))


# ---- normalisation ---------------------------------------------------------------------------------------------


def test_normalisation_is_chosen_and_told() -> None:
    steno, none = Normalization("steno"), Normalization("none")
    assert steno.apply("  “Well,  it’s—fine!”") == "well it's fine"
    assert none.apply("  Well,  it’s\tfine! ") == "Well, it’s fine!"
    assert "lower case" in steno.description
    assert "as they are" in none.description
    assert "lower case" not in Normalization("steno", " ABC").description
    with pytest.raises(StenoError, match="no normalisation 'loose'"):
        Normalization("loose")


def test_models_of_different_alphabets_are_compared_on_all_letters() -> None:
    both = common_alphabet([" ab", " aä"])
    assert both == " abä"
    assert Normalization("steno", both).apply("Ä b!") == "ä b"
