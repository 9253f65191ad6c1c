"""The second pass: chances of spellings against torch's, and who has the last word."""

from pathlib import Path

import numpy as np
import pytest
import torch

from steno.decoding.beam import BeamDecoder
from steno.decoding.config import DecodingConfig
from steno.decoding.incremental_beam import IncrementalBeam
from steno.decoding.options import DecodingOptions, settle
from steno.decoding.second_pass import log_likelihoods
from steno.decoding.words import transcript
from steno.errors import DecodingError
from steno.lm.build import build
from steno.phonemes import Pronunciations, write_pronunciations
from steno.text import CharTokenizer

TOKENIZER = CharTokenizer(" abct")
SYMBOLS = ("b", "k", "t", "æ")
SOUNDS = {"bat": ("b", "æ", "t"), "cat": ("k", "æ", "t"), "act": ("æ", "k", "t")}
BEAM = DecodingConfig(method="beam", beam=100, beam_tokens=6, beam_threshold=100, lm="lm.bin", lm_weight=0.1)


def random_emission(frames: int, labels: int, seed: int) -> np.ndarray:
    chances = np.random.default_rng(seed).dirichlet(np.ones(labels), frames)
    return np.log(chances).astype(np.float32)


def spelled(rows: list[dict[int, float]], labels: int) -> np.ndarray:
    """An emission of these chances, with a blank after each frame."""
    table = np.full((2 * len(rows), labels), 1e-3)
    for place, row in enumerate(rows):
        for label, chance in row.items():
            table[2 * place, label] = chance
        table[2 * place + 1, 0] = 1.0
    return np.log(table / table.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def lm(tmp_path: Path) -> Path:
    text = tmp_path / "text.txt"
    text.write_text("bat\ncat\nact\ntab\n" * 3)
    build([text], [tmp_path / "lm.bin"], order=2)
    return tmp_path / "lm.bin"


@pytest.fixture
def sounds(tmp_path: Path) -> Pronunciations:
    write_pronunciations(tmp_path / "sounds.gz", SOUNDS)
    return Pronunciations(tmp_path / "sounds.gz", SYMBOLS)


def heard(letter: float, sound: float) -> np.ndarray:
    """``bat`` by its letters and ``cat`` by its phonemes, each so much more likely than the other."""
    b, a, c, t = (TOKENIZER.encode(character)[0] for character in "bact")
    letters = spelled([{b: letter, c: 1.0}, {a: 1.0}, {t: 1.0}], len(TOKENIZER))
    phonemes = spelled([{2: sound, 1: 1.0}, {4: 1.0}, {3: 1.0}], len(SYMBOLS) + 1)
    return np.concatenate([letters, phonemes], axis=1)


def read(decoder: BeamDecoder, emission: np.ndarray) -> str:
    return transcript(decoder.decode(emission), emission, TOKENIZER.tokens, 0.04).text


@pytest.mark.parametrize("seed", range(4))
def test_chances_are_those_of_ctc(seed: int) -> None:
    emission = random_emission(23, 7, seed)
    spellings = [[1, 2, 2, 3], [], [4], [5, 5, 5, 5], [1, 2, 3, 4, 5, 6]]
    expected = torch.nn.functional.ctc_loss(
        torch.from_numpy(emission)[:, None].repeat(1, len(spellings), 1),
        torch.tensor([label for one in spellings for label in one]),
        torch.full((len(spellings),), len(emission)),
        torch.tensor([len(one) for one in spellings]),
        reduction="none",
    )
    np.testing.assert_allclose(log_likelihoods(emission, spellings), -expected.numpy(), rtol=1e-5)


def test_a_constant_taken_off_each_frame_is_taken_off_the_chance() -> None:
    emission = random_emission(900, 5, 1)  # so many that no chance is a number without rescaling
    found = log_likelihoods(emission, [[1, 2, 3], [4] * 40])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(log_likelihoods(emission - 1.5, [[1, 2, 3], [4] * 40]), found - 1.5 * 900)


def test_a_spelling_that_needs_more_frames_has_no_chance() -> None:
    assert log_likelihoods(random_emission(3, 4, 0), [[1, 1, 1]])[0] == -np.inf


def test_phonemes_decide_by_their_share(lm: Path, sounds: Pronunciations) -> None:
    decoder = BeamDecoder(TOKENIZER, BEAM, lm, pronunciations=sounds)
    emission = heard(letter=3.0, sound=9.0)
    assert read(decoder, emission) == "bat"
    told = [
        read(decoder.reweighted(BEAM.model_copy(update={"phoneme_share": share})), emission) for share in (0.1, 0.9)
    ]
    assert told == ["bat", "cat"]


def test_scores_are_of_both(lm: Path, sounds: Pronunciations) -> None:
    emission = heard(letter=3.0, sound=9.0)
    found = {}
    for share in (0.0, 0.5, 1.0):
        config = BEAM.model_copy(update={"phoneme_share": share})
        decoder = BeamDecoder(TOKENIZER, config, lm, nbest=10, pronunciations=sounds)
        result = transcript(decoder.decode(emission), emission, TOKENIZER.tokens, 0.04, nbest=10)
        found[share] = {one.text: one.score for one in result.alternatives}
    for word in ("bat", "cat"):
        assert found[0.5][word] == pytest.approx((found[0.0][word] + found[1.0][word]) / 2)


def test_a_best_reading_of_unknown_sound_stays(lm: Path, sounds: Pronunciations) -> None:
    config = BEAM.model_copy(update={"phoneme_share": 0.9})
    a, b, c, t = (TOKENIZER.encode(character)[0] for character in "abct")
    letters = spelled([{t: 3.0, c: 1.0}, {a: 1.0}, {b: 3.0, t: 1.0}], len(TOKENIZER))
    emission = np.concatenate([letters, heard(1.0, 9.0)[:, len(TOKENIZER) :]], axis=1)
    assert read(BeamDecoder(TOKENIZER, config, lm, pronunciations=sounds), emission) == "tab"


def test_a_stream_ends_with_the_same(lm: Path, sounds: Pronunciations) -> None:
    config = BEAM.model_copy(update={"phoneme_share": 0.9})
    emission = heard(letter=3.0, sound=9.0)
    whole = BeamDecoder(TOKENIZER, config, lm, pronunciations=sounds)
    stream = IncrementalBeam(BeamDecoder(TOKENIZER, config, lm, pronunciations=sounds), TOKENIZER.tokens, 0.04)
    for _ in range(2):
        for frame in range(0, len(emission), 2):
            stream.push(emission[frame : frame + 2])
        final = stream.finish()
        assert final.text == read(whole, emission) == "cat"
        stream.reset(0.0)
        assert stream.finish().text == ""
        stream.reset(0.0)


def test_a_share_needs_what_words_sound_like() -> None:
    with pytest.raises(DecodingError, match="sound like"):
        settle(BEAM, DecodingOptions(phoneme_share=0.5))
    known = BEAM.model_copy(update={"pronunciations": "sounds.gz", "phoneme_share": 0.4})
    with pytest.raises(DecodingError, match="language model"):
        settle(known, DecodingOptions(phoneme_share=0.5, lm="none"))
    assert settle(known, DecodingOptions(phoneme_share=0.5)).phoneme_share == 0.5
    assert settle(known, DecodingOptions(phoneme_share=0.0)).phoneme_share == 0.0
    for lm in ("none", "other.bin"):  # whose words may be others
        assert settle(known, DecodingOptions(lm=lm)).phoneme_share == 0.0
    assert settle(known, DecodingOptions(lm="other.bin", phoneme_share=0.3)).phoneme_share == 0.3
    with pytest.raises(DecodingError, match="greedy"):
        settle(known, DecodingOptions(method="greedy", phoneme_share=0.5))
