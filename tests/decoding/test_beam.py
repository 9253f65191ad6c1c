"""Beam search: against the sum over all paths, with hotwords, and as a stream."""

import math
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from steno.decoding.beam import BeamDecoder
from steno.decoding.config import CalibrationConfig, DecodingConfig
from steno.decoding.greedy import collapse
from steno.decoding.hotwords import Hotword
from steno.decoding.incremental_beam import IncrementalBeam
from steno.decoding.options import DecodingOptions, settle
from steno.decoding.words import transcript
from steno.errors import DecodingError
from steno.lm.build import build
from steno.text import WORD_START, CharTokenizer, PieceTokenizer

TOKENIZER = CharTokenizer(" abct")
WIDE = DecodingConfig(method="beam", beam=500, beam_tokens=6, beam_threshold=100)


def random_emission(frames: int, seed: int, sharp: float = 2.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(frames, len(TOKENIZER))) * sharp
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def spelled(text: str, second: dict[int, str] | None = None) -> np.ndarray:
    """An emission of a text, one frame a character with a blank after it; at some places another is nearly as good."""
    rows = []
    for place, character in enumerate(text):
        row = np.full(len(TOKENIZER), 0.001)
        row[TOKENIZER.encode(character)[0]] = 0.6
        if second and place in second:
            row[TOKENIZER.encode(second[place])[0]] = 0.35
        blank = np.full(len(TOKENIZER), 0.001)
        blank[0] = 1.0
        rows += [row, blank]
    table = np.array(rows)
    return np.log(table / table.sum(axis=1, keepdims=True)).astype(np.float32)


def text(decoder: BeamDecoder, emission: np.ndarray) -> str:
    return transcript(decoder.decode(emission), emission, TOKENIZER.tokens, 0.04).text


@pytest.mark.parametrize("seed", range(6))
def test_without_a_model_it_sums_over_the_paths_of_a_text(seed: int) -> None:
    emission = random_emission(5, seed, sharp=1.0)
    emission[:, TOKENIZER.encode(" ")] = -50.0  # flashlight merges hypotheses that differ by outer spaces
    sums: dict[str, float] = defaultdict(float)
    for path in product(range(len(TOKENIZER)), repeat=5):
        text = TOKENIZER.decode(collapse(np.array(path)))
        sums[text] += math.exp(sum(float(emission[t, v]) for t, v in enumerate(path)))
    found = BeamDecoder(TOKENIZER, WIDE).decode(emission)[0]
    # flashlight adds up paths that end in a blank, and those that do not, but never the two sums.
    chance = sums[TOKENIZER.decode(collapse(found.path_t))]
    assert chance >= max(sums.values()) / 2
    assert chance / 2 <= math.exp(found.score) <= chance * 1.0001


def test_a_path_has_a_label_for_each_frame() -> None:
    for frames in (1, 2, 30):
        assert len(BeamDecoder(TOKENIZER, WIDE).decode(random_emission(frames, 1))[0].path_t) == frames
    assert len(BeamDecoder(TOKENIZER, WIDE).decode(np.zeros((0, 6), np.float32))[0].path_t) == 0


def test_a_hotword_is_preferred_where_it_was_nearly_heard() -> None:
    emission = spelled("a bat", second={2: "c"})
    assert text(BeamDecoder(TOKENIZER, WIDE), emission) == "a bat"
    assert text(BeamDecoder(TOKENIZER, WIDE, hotwords=[Hotword("cat", 3.0)]), emission) == "a cat"
    assert text(BeamDecoder(TOKENIZER, WIDE, hotwords=[Hotword("a cat", 3.0)]), emission) == "a cat"
    assert text(BeamDecoder(TOKENIZER, WIDE, hotwords=[Hotword("cat", 0.1)]), emission) == "a bat"
    assert text(BeamDecoder(TOKENIZER, WIDE, hotwords=[Hotword("ca", 3.0)]), emission) == "a bat"


def test_other_hypotheses_come_in_their_order() -> None:
    emission = spelled("bat", second={0: "c"})
    decoder = BeamDecoder(TOKENIZER, WIDE, nbest=2)
    found = transcript(decoder.decode(emission), emission, TOKENIZER.tokens, 0.04, nbest=2)
    assert [other.text for other in found.alternatives] == ["bat", "cat"]
    assert found.alternatives[0].score > found.alternatives[1].score


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("hotwords", [[], [Hotword("ab", 2.0)]])
def test_a_stream_ends_as_the_whole_does(size: int, hotwords: list[Hotword]) -> None:
    narrow = DecodingConfig(method="beam", beam=8)
    stream = IncrementalBeam(BeamDecoder(TOKENIZER, narrow, hotwords=hotwords), TOKENIZER.tokens, 0.04)
    whole = BeamDecoder(TOKENIZER, narrow, hotwords=hotwords)
    for seed in range(3):
        emission = random_emission(40, seed)
        stream.reset(5.0)
        for start in range(0, 40, size):
            stream.push(emission[start : start + size])
            stream.partial()
        expected = transcript(whole.decode(emission), emission, TOKENIZER.tokens, 0.04, offset=5.0)
        assert stream.finish().words == expected.words


def test_options_that_greedy_cannot_honour_are_refused() -> None:
    greedy = DecodingConfig()
    for options in (
        DecodingOptions("greedy", lm="x.bin"),
        DecodingOptions("greedy", hotwords=("a",)),
        DecodingOptions("greedy", nbest=3),
        DecodingOptions("greedy", beam=10),
    ):
        with pytest.raises(DecodingError, match="greedy decoding cannot use --"):
            settle(greedy, options)
    with pytest.raises(DecodingError, match="no language model to weigh"):
        settle(greedy, DecodingOptions(lm_weight=0.5))
    assert settle(greedy, DecodingOptions(hotwords=("a",))).method == "beam"
    assert settle(greedy, DecodingOptions()).method == "greedy"


def test_a_calibration_holds_for_the_language_model_it_was_made_with() -> None:
    calibration = {"greedy": CalibrationConfig(slope=2.0), "beam": CalibrationConfig(slope=3.0)}
    stored = DecodingConfig(method="beam", lm="lm.bin", calibration=calibration)
    assert set(settle(stored, DecodingOptions(beam=10)).calibration) == {"greedy", "beam"}
    assert set(settle(stored, DecodingOptions(lm="none")).calibration) == {"greedy"}
    assert set(settle(stored, DecodingOptions(lm="other.bin")).calibration) == {"greedy"}


def test_what_a_folder_stores_holds_until_it_is_said_otherwise() -> None:
    stored = DecodingConfig(method="beam", lm="lm.bin", lm_weight=0.7, word_score=1.5)
    assert settle(stored, DecodingOptions()) == stored
    assert settle(stored, DecodingOptions(method="greedy")).lm is None
    without = settle(stored, DecodingOptions(lm="none"))
    assert (without.lm, without.word_score, without.method) == (None, 0.0, "beam")
    assert settle(stored, DecodingOptions(lm="other.bin", lm_weight=0.2)).lm_weight == 0.2


def test_a_prior_belongs_to_the_folder_and_its_weight_to_the_language_model() -> None:
    stored = DecodingConfig(method="beam", lm="lm.bin", prior_weight=0.5, label_prior=(-0.5, -1.0))
    assert settle(stored, DecodingOptions(prior_weight=0.2)).prior_weight == 0.2
    assert settle(stored, DecodingOptions(lm="other.bin")).prior_weight == 0.5
    assert settle(stored, DecodingOptions(lm="none")).prior_weight == 0.0
    assert settle(stored, DecodingOptions(lm="none", prior_weight=0.1)).prior_weight == 0.1
    assert settle(DecodingConfig(), DecodingOptions(prior_weight=0.0)).method == "beam"
    with pytest.raises(DecodingError, match="lm tune"):
        settle(DecodingConfig(), DecodingOptions(prior_weight=0.5))
    with pytest.raises(DecodingError, match="prior-weight"):
        settle(stored, DecodingOptions("greedy", prior_weight=0.5))


def test_the_prior_takes_off_what_a_model_writes_anyway() -> None:
    """A letter that is a little less likely than the blank is read where blanks are common."""
    silent, doubtful = np.full((2, len(TOKENIZER)), 0.01)
    silent[0] = 0.9
    doubtful[[0, *TOKENIZER.encode("a")]] = 0.5, 0.4
    emission = np.log(np.array([silent, doubtful, silent])).astype(np.float32)
    often = np.full(len(TOKENIZER), 0.08)
    often[0] = 0.6
    prior = tuple(np.log(often).tolist())
    hypotheses = [
        text(BeamDecoder(TOKENIZER, WIDE.model_copy(update={"prior_weight": weight, "label_prior": prior})), emission)
        for weight in (0.0, 0.5)
    ]
    assert hypotheses == ["", "a"]


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_and_a_file_take_the_prior_off_alike(seed: int) -> None:
    emission = random_emission(12, seed)
    prior = random_emission(1, 99)[0]
    config = WIDE.model_copy(update={"prior_weight": 0.7, "label_prior": tuple(prior.tolist())})
    weighed, plain = BeamDecoder(TOKENIZER, config), BeamDecoder(TOKENIZER, WIDE)
    expected = plain.decode(emission - np.float32(0.7) * prior)[0].path_t
    np.testing.assert_array_equal(weighed.decode(emission)[0].path_t, expected)
    weighed.begin()
    for part in np.split(emission, [5, 6]):
        weighed.push(part)
    np.testing.assert_array_equal(weighed.end(emission)[0].path_t, expected)
    np.testing.assert_array_equal(weighed.reweighted(WIDE).decode(emission)[0].path_t, plain.decode(emission)[0].path_t)


def test_a_prior_of_other_labels_is_refused() -> None:
    with pytest.raises(DecodingError, match="label_prior has 2 entries"):
        BeamDecoder(PIECES, WIDE.model_copy(update={"prior_weight": 0.5, "label_prior": (-1.0, -1.0)}))


# ---- pieces of words ----

PIECES = PieceTokenizer(
    "unigram",
    ((f"{WORD_START}ca", -1.0), ("t", -1.0), (f"{WORD_START}a", -1.0), ("b", -2.0), ("a", -9.0), ("c", -9.0)),
    " abct",
)


def pieces_emission(labels: list[int], near: dict[int, int] | None = None) -> np.ndarray:
    """One frame a piece with a blank after it; at some places another piece is nearly as likely."""
    rows = []
    for place, label in enumerate(labels):
        row = np.full(len(PIECES), 0.001)
        row[label] = 0.5
        if near and place in near:
            row[near[place]] = 0.45
        blank = np.full(len(PIECES), 0.001)
        blank[0] = 1.0
        rows += [row, blank]
    table = np.array(rows)
    return np.log(table / table.sum(axis=1, keepdims=True)).astype(np.float32)


def test_pieces_are_spelt_without_a_language_model_and_with_one_of_words(tmp_path: Path) -> None:
    cat_a = pieces_emission([1, 2, 3], near={1: 4})

    def read(decoder: BeamDecoder) -> str:
        return transcript(decoder.decode(cat_a), cat_a, PIECES.tokens, 0.04).text

    assert read(BeamDecoder(PIECES, WIDE)) == "cat a"
    lm = tmp_path / "lm.arpa"
    (tmp_path / "text").write_text("a cab a\ncab cab a\n" * 3 + "cat\n")
    build([tmp_path / "text"], [lm], order=2, alphabet=" abct")
    weighed = WIDE.model_copy(update={"lm": str(lm), "lm_weight": 1.0, "word_score": 0.5})
    assert read(BeamDecoder(PIECES, weighed, lm)) == "cab a"


def test_a_word_score_without_words_is_refused() -> None:
    with pytest.raises(DecodingError, match="a word score needs words"):
        BeamDecoder(PIECES, WIDE.model_copy(update={"word_score": 1.0}))
