"""The second pass: chances of spellings against torch's, and who has the last word."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from steno.decoding.beam import BeamDecoder
from steno.decoding.build import Decoder, build_decoder
from steno.decoding.config import DecodingConfig
from steno.decoding.hotwords import Hotword
from steno.decoding.incremental_beam import IncrementalBeam
from steno.decoding.options import DecodingOptions, settle
from steno.decoding.second_pass import log_likelihoods, recombinations
from steno.decoding.words import transcript
from steno.errors import DecodingError
from steno.lm import open_lm
from steno.lm.build import build
from steno.lm.score import score_text
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


def read(decoder: Decoder, emission: np.ndarray) -> str:
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
    for share in (0.0, 0.2, 0.5, 0.8, 1.0):
        config = BEAM.model_copy(update={"phoneme_share": share})
        decoder = BeamDecoder(TOKENIZER, config, lm, nbest=10, pronunciations=sounds)
        result = transcript(decoder.decode(emission), emission, TOKENIZER.tokens, 0.04, nbest=10)
        found[share] = {one.text: one.score for one in result.alternatives}
    for word in ("bat", "cat"):
        assert found[0.5][word] == pytest.approx((found[0.2][word] + found[0.8][word]) / 2)
        # A beam sums a word with spaces around it, too.
        assert found[0.5][word] == pytest.approx((found[0.0][word] + found[1.0][word]) / 2, rel=2e-3)


def test_a_best_reading_of_unknown_sound_stays(lm: Path, sounds: Pronunciations) -> None:
    config = BEAM.model_copy(update={"phoneme_share": 0.9})
    a, b, c, t = (TOKENIZER.encode(character)[0] for character in "abct")
    letters = spelled([{t: 3.0, c: 1.0}, {a: 1.0}, {b: 3.0, t: 1.0}], len(TOKENIZER))
    emission = np.concatenate([letters, heard(1.0, 9.0)[:, len(TOKENIZER) :]], axis=1)
    assert read(BeamDecoder(TOKENIZER, config, lm, pronunciations=sounds), emission) == "tab"


def test_phonemes_find_what_letters_do_not(lm: Path, sounds: Pronunciations) -> None:
    narrow = BEAM.model_copy(update={"beam": 1, "phoneme_share": 0.9})
    emission = heard(letter=3.0, sound=9.0)
    assert read(BeamDecoder(TOKENIZER, narrow, lm, pronunciations=sounds), emission) == "bat"
    both = BeamDecoder(TOKENIZER, narrow.model_copy(update={"sound_words": 9}), lm, pronunciations=sounds)
    assert read(both, emission) == "cat"
    word = transcript(both.decode(emission), emission, TOKENIZER.tokens, 0.04).words[0]
    assert (word.start, word.end) == (0.0, pytest.approx(5 * 0.04)), "of letters that no search went along"


def test_a_search_by_sound_is_one_over_homophones(lm: Path) -> None:
    alike = Pronunciations(dict.fromkeys(("act", "bat", "cat", "tab"), ("b", "æ", "t")), SYMBOLS)
    config = BEAM.model_copy(update={"phoneme_share": 0.5, "sound_words": 9, "beam": 4})
    b, a, c, t = (TOKENIZER.encode(character)[0] for character in "bact")
    for word, letters in {"tab": [t, a, b], "act": [a, c, t]}.items():
        emission = np.concatenate(
            [spelled([{one: 1.0} for one in letters], 6), spelled([{1: 1.0}, {4: 1.0}, {3: 1.0}], 5)], axis=1
        )
        assert read(BeamDecoder(TOKENIZER, config, lm, pronunciations=alike), emission) == word


def test_the_phonemes_prior_is_taken_off(lm: Path, sounds: Pronunciations) -> None:
    config = BEAM.model_copy(
        update={"phoneme_share": 1.0, "prior_weight": 1.0, "label_prior": (0.0,) * 6, "sound_words": 9}
    )
    emission = heard(letter=3.0, sound=2.0)
    told = [
        read(
            BeamDecoder(TOKENIZER, config.model_copy(update={"phoneme_prior": prior}), lm, pronunciations=sounds),
            emission,
        )
        for prior in ((), (0.0,) * 5, (0.0, -3.0, 0.0, 0.0, 0.0))
    ]
    assert told == ["cat", "cat", "bat"], "b is seldom, so that it says the more"
    with pytest.raises(DecodingError, match="phoneme_prior has 1"):
        BeamDecoder(TOKENIZER, config.model_copy(update={"phoneme_prior": (0.0,)}), lm, pronunciations=sounds)


def test_the_best_hypothesis_is_recombined_with_others() -> None:
    made = recombinations(
        "the cat sat down", ["the bat sat town", "the cat sad down", "a cat sat on down", "the cat sat down"]
    )
    assert made == ["the bat sat down", "the cat sat town", "a cat sat down", "the cat sat on down"]


def test_a_crossing_of_letters_and_sounds_wins(lm: Path, sounds: Pronunciations) -> None:
    # The letters are sure of the first word, the phonemes of the last; each alone finds one hypothesis.
    space, a, b, c, t = range(1, 6)
    first, last = [{b: 99.0, c: 1.0}, {a: 1.0}, {t: 1.0}], [{c: 1.1, b: 1.0}, {a: 1.0}, {t: 1.0}]
    between = [{one: 1.0} for one in (space, a, c, t, space)]
    letters = spelled([*first, *between, *last], 6)
    first, last = [{2: 1.1, 1: 1.0}, {4: 1.0}, {3: 1.0}], [{1: 99.0, 2: 1.0}, {4: 1.0}, {3: 1.0}]
    phonemes = spelled([*first, *({one: 1.0} for one in (4, 2, 3)), *last, {0: 1.0}, {0: 1.0}], 5)
    emission = np.concatenate([letters, phonemes], axis=1)
    config = BEAM.model_copy(update={"beam": 1, "phoneme_share": 0.5, "sound_words": 9})
    assert read(BeamDecoder(TOKENIZER, config, lm, pronunciations=sounds), emission) == "bat act bat"


def test_hotwords_are_preferred_among_hypotheses_of_both(lm: Path, sounds: Pronunciations) -> None:
    config = BEAM.model_copy(update={"phoneme_share": 0.5, "sound_words": 9})
    emission = heard(letter=1.0, sound=2.0)
    for hotwords in ((), (Hotword("bat", 5.0),)):
        decoder = BeamDecoder(TOKENIZER, config, lm, hotwords, nbest=5, pronunciations=sounds)
        result = transcript(decoder.decode(emission), emission, TOKENIZER.tokens, 0.04, nbest=5)
        scores = {one.text: one.score for one in result.alternatives}
        assert result.text == ("bat" if hotwords else "cat")
        assert scores["bat"] - scores["cat"] == pytest.approx(-0.5 * np.log(2) + (5.0 if hotwords else 0.0), rel=1e-2)


def cab(letter: float) -> np.ndarray:
    """``bat`` by its letters, so much more likely than ``cab``, which it is by its phonemes."""
    b, a, c, t = (TOKENIZER.encode(character)[0] for character in "bact")
    letters = spelled([{b: letter, c: 1.0}, {a: 1.0}, {t: letter, b: 1.0}], len(TOKENIZER))
    return np.concatenate([letters, spelled([{2: 9.0, 1: 1.0}, {4: 1.0}, {1: 9.0, 3: 1.0}], len(SYMBOLS) + 1)], axis=1)


def test_hotwords_are_found_by_their_sound(lm: Path, sounds: Pronunciations) -> None:
    pytest.importorskip("espeakng_loader")
    # Of the language model's words only the likeliest is found by its sound, and few hypotheses by their letters.
    config = BEAM.model_copy(update={"beam": 1, "phoneme_share": 0.9, "sound_words": 1})
    for hotwords, text in ((), "bat"), (("cab:1",), "cab"), (("cab:-9",), "bat"):
        assert read(build_decoder(TOKENIZER, config, lm, hotwords, pronunciations=sounds), cab(3.0)) == text


def test_a_hotword_of_unknown_sound_is_found_by_its_letters(
    lm: Path, sounds: Pronunciations, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    config = BEAM.model_copy(update={"phoneme_share": 0.9, "sound_words": 9})
    decoder = build_decoder(TOKENIZER, config, lm, ("cab:9",), pronunciations=sounds)
    assert "espeakng-loader" in caplog.text
    assert "pip install" in caplog.text
    assert isinstance(decoder, BeamDecoder)
    assert read(decoder, cab(1.5)) == "cab"
    caplog.clear()
    build_decoder(TOKENIZER, config, lm, ("cat",), pronunciations=sounds)
    assert not caplog.text


def test_a_stream_ends_with_the_same(lm: Path, sounds: Pronunciations) -> None:
    config = BEAM.model_copy(update={"phoneme_share": 0.9, "sound_words": 9})
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


class Judge:
    """A language model that knows how likely a few texts are."""

    def __init__(self, **known: float) -> None:
        self.known = known

    def log_likelihoods(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self.known.get(text, -50.0) for text in texts])


def test_a_neural_language_model_decides_by_its_weight(lm: Path) -> None:
    emission = heard(letter=3.0, sound=1.0)[:, : len(TOKENIZER)]
    decoder = BeamDecoder(TOKENIZER, BEAM, lm, neural=Judge(bat=-9.0, cat=-1.0))
    told = [
        read(decoder.reweighted(BEAM.model_copy(update={"neural_weight": weight})), emission)
        for weight in (0.0, 0.05, 0.5)
    ]
    assert told == ["bat", "bat", "cat"]


def test_it_takes_its_share_of_what_the_n_grams_gave(lm: Path) -> None:
    emission = heard(letter=3.0, sound=1.0)[:, : len(TOKENIZER)]

    def scores(**weights: float) -> dict[str, float]:
        config = BEAM.model_copy(update={"lm_weight": 0.7, **weights})
        decoder = BeamDecoder(TOKENIZER, config, lm, nbest=10, neural=Judge(bat=-9.0, cat=-1.0))
        result = transcript(decoder.decode(emission), emission, TOKENIZER.tokens, 0.04, nbest=10)
        return {one.text: one.score for one in result.alternatives}

    lm.with_name("bat.txt").write_text("bat\n")
    with_both, with_half, without = (scores(neural_weight=0.2, neural_share=share) for share in (0.0, 0.5, 1.0))
    by_ngrams = 0.7 * sum(sentence.log10 for sentence in score_text(open_lm(lm), [lm.with_name("bat.txt")], " abct"))
    assert scores()["bat"] + 0.2 * -9.0 == pytest.approx(with_both["bat"], rel=2e-3)
    assert scores(neural_weight=0.1)["bat"] + 0.1 * -9.0 == pytest.approx(with_both["bat"])
    assert with_both["bat"] - without["bat"] == pytest.approx(by_ngrams * np.log(10), rel=1e-3)
    assert with_half["bat"] == pytest.approx((with_both["bat"] + without["bat"]) / 2)


def test_letters_and_phonemes_both_count(lm: Path, sounds: Pronunciations) -> None:
    emission = heard(letter=3.0, sound=9.0)  # bat by its letters, cat by its phonemes
    judge = Judge(bat=-1.0, cat=-9.0)
    config = BEAM.model_copy(update={"phoneme_share": 0.9, "neural_weight": 0.01})
    decoder = BeamDecoder(TOKENIZER, config, lm, pronunciations=sounds, neural=judge)
    assert read(decoder, emission) == "cat"
    assert read(decoder.reweighted(config.model_copy(update={"neural_weight": 1.0})), emission) == "bat"


def test_the_neural_one_rescores_hypotheses_of_unknown_sound(lm: Path, sounds: Pronunciations) -> None:
    a, b, c, t = (TOKENIZER.encode(character)[0] for character in "abct")
    letters = spelled([{t: 3.0, c: 1.0}, {a: 1.0}, {b: 3.0, t: 1.0}], len(TOKENIZER))
    emission = np.concatenate([letters, heard(1.0, 9.0)[:, len(TOKENIZER) :]], axis=1)
    config = BEAM.model_copy(update={"phoneme_share": 0.9, "neural_weight": 0.5})
    judge = Judge(tab=-20.0, cat=-1.0)
    assert read(BeamDecoder(TOKENIZER, config, lm, pronunciations=sounds, neural=judge), emission) == "cat"


def test_only_the_best_are_judged(lm: Path) -> None:
    emission = random_emission(40, len(TOKENIZER), 3)

    class Counting(Judge):
        asked: Sequence[str] = ()

        def log_likelihoods(self, texts: Sequence[str]) -> np.ndarray:
            self.asked = texts
            return super().log_likelihoods(texts)

    judge, wide = Counting(), BEAM.model_copy(update={"beam": 5000, "lm_weight": 0.0})
    heard = BeamDecoder(TOKENIZER, wide, lm, nbest=5000).decode(emission)
    found = [one.text for one in transcript(heard, emission, TOKENIZER.tokens, 0.04, nbest=5000).alternatives]
    found = found[:200]  # which are compared
    BeamDecoder(TOKENIZER, wide.model_copy(update={"neural_weight": 0.1}), lm, neural=judge).decode(emission)
    assert len(found) == 200
    assert len(judge.asked) == len(set(judge.asked)) == 50
    worth = dict(zip(found, log_likelihoods(emission, [TOKENIZER.encode(text) for text in found]), strict=True))
    left_out = [score for text, score in worth.items() if text not in judge.asked]
    assert min(worth[text] for text in judge.asked if text in worth) >= max(left_out)


def test_a_second_pass_needs_words(tmp_path: Path, lm: Path) -> None:
    build([lm.with_name("text.txt")], [tmp_path / "letters.bin"], order=2, units="characters")
    config = BEAM.model_copy(update={"neural_weight": 0.5})
    with pytest.raises(DecodingError, match="of words"):
        BeamDecoder(TOKENIZER, config, tmp_path / "letters.bin", neural=Judge())


def test_a_neural_weight_goes_with_its_n_grams() -> None:
    with pytest.raises(DecodingError, match="no neural"):
        settle(BEAM, DecodingOptions(neural_weight=0.5))
    known = BEAM.model_copy(update={"neural_lm": "neural.onnx", "neural_weight": 0.4, "neural_share": 0.75})
    kept = settle(known, DecodingOptions(neural_weight=0.5))
    assert (kept.neural_weight, kept.neural_share) == (0.5, 0.75)
    gone = settle(known, DecodingOptions(neural_weight=0.0))
    assert (gone.neural_weight, gone.neural_share) == (0.0, 0.0), "or nothing would take the n-grams' place"
    for other in ("none", "other.bin"):
        assert settle(known, DecodingOptions(lm=other)).neural_weight == 0
        assert settle(known, DecodingOptions(lm=other)).neural_share == 0
        with pytest.raises(DecodingError, match="tuned with"):
            settle(known, DecodingOptions(lm=other, neural_weight=0.5))
    with pytest.raises(DecodingError, match="greedy"):
        settle(known, DecodingOptions(method="greedy", neural_weight=0.5))
