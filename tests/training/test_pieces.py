"""Pieces of words: what sentencepiece learns, spelt and read without it, and kept with run and model."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tiny
import yaml
from pydantic import ValidationError

from steno.data.manifest import Manifest
from steno.errors import MissingExtraError, ModelError, RecipeError, StenoError, TextError
from steno.runtime import Recognizer
from steno.runtime.folder import read_config
from steno.text import CharTokenizer, PieceTokenizer, TokenizerConfig, pieces_digest
from steno.training.pieces import settled

TEXTS = [
    "the quick brown fox doesn't jump over the lazy dog",
    "she sells sea shells by the sea shore and the shells she sells are sea shells",
    "how much wood would a woodchuck chuck if a woodchuck could chuck wood",
    "it's a quarter past five o'clock and the dogs' dinner isn't ready",
]
KINDS = ("bpe", "unigram")


@pytest.fixture(scope="module", params=KINDS)
def pieces(request: pytest.FixtureRequest) -> PieceTokenizer:
    tokenizer = settled(TokenizerConfig(kind=request.param, size=60), TEXTS).build()
    assert isinstance(tokenizer, PieceTokenizer)
    return tokenizer


def own_model(path: Path, kind: str = "bpe", **more: Any) -> Path:
    written = io.BytesIO()
    options = {"vocab_size": 50, "model_type": kind, "normalization_rule_name": "identity", "minloglevel": 3, **more}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TEXTS), model_writer=written, **options)
    path.write_bytes(written.getvalue())
    return path


def test_texts_come_back(pieces: PieceTokenizer) -> None:
    for text in (*TEXTS, "a", "zebra", "'tis", ""):
        labels = pieces.encode(text)
        assert pieces.decode(labels) == text
        assert all(0 < label < len(pieces) for label in labels)
    assert len(pieces.encode(TEXTS[1])) < len(TEXTS[1]) / 2


@pytest.mark.parametrize("kind", KINDS)
def test_spelt_as_sentencepiece_does(kind: str, tmp_path: Path) -> None:
    """Also words that were not there when the pieces were learnt."""
    path = own_model(tmp_path / "m.model", kind)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    tokenizer = settled(TokenizerConfig(kind=kind, model=path), TEXTS).build()  # type: ignore[arg-type]
    letters = sorted({character for text in TEXTS for character in text} - {" "})
    generator = np.random.default_rng(0)
    for _ in range(300):
        word = "".join(generator.choice(letters, generator.integers(1, 12)))
        expected = processor.encode(word, out_type=str)
        assert [tokenizer.tokens[label] for label in tokenizer.encode(word)] == expected


def test_labels_tokens_and_words(pieces: PieceTokenizer) -> None:
    assert pieces.tokens[0] == "<blank>"
    assert len(pieces.tokens) == len(set(pieces.tokens)) == len(pieces) <= 61
    starts = [token for token, begins in zip(pieces.tokens, pieces.begins_word, strict=True) if begins]
    assert starts
    assert all(token.startswith("▁") for token in starts)
    for text in TEXTS:
        assert sum(pieces.begins_word[label] for label in pieces.encode(text)) == len(text.split())
    assert not any(CharTokenizer().begins_word)


def test_every_letter_of_the_alphabet_can_be_spelt() -> None:
    tokenizer = settled(TokenizerConfig(kind="bpe", size=40), ["aa bb aa bb"] * 5).build()
    assert tokenizer.decode(tokenizer.encode("zygote's")) == "zygote's"


def test_what_the_alphabet_lacks_is_named(pieces: PieceTokenizer) -> None:
    assert pieces.unknown("naïve 42 times") == ["2", "4", "ï"]
    with pytest.raises(TextError, match="'ï'"):
        pieces.encode("naïve")


def test_learning_is_repeatable() -> None:
    first, again = (settled(TokenizerConfig(kind="unigram", size=60), TEXTS) for _ in range(2))
    assert first == again
    assert first.digest == pieces_digest(first.pieces)


# ---- in a run --------------------------------------------------------------------------------------------------

SPELT = {"kind": "bpe", "size": 8, "alphabet": tiny.ALPHABET}


def test_a_run_learns_them_and_the_folder_has_them(train_tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = train_tiny(tokenizer=SPELT, training={"epochs": 1})
    config = read_config(result.model).tokenizer
    assert config.kind == "bpe"
    assert 5 <= len(config.pieces) <= 8
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    recognizer = Recognizer(result.model)
    assert recognizer.emissions([tiny.speak("ab")])[0].shape[1] == len(config.pieces) + 1
    assert set(recognizer.transcribe([tiny.speak("ab cd")])[0].text) <= set(tiny.ALPHABET)


def test_a_resumed_run_has_the_same_ones(train_tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"tokenizer": SPELT, "training": {"epochs": 1}}
    result, _ = train_tiny(**changes)
    before = read_config(result.model).tokenizer
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    result, _ = train_tiny(resume=True, **changes)
    assert read_config(result.model).tokenizer == before


def test_pieces_that_were_changed_are_refused(train_tiny: Any) -> None:
    result, _ = train_tiny(tokenizer=SPELT, training={"epochs": 1})
    path = result.model / "config.yaml"
    plain = yaml.safe_load(path.read_text())
    plain["tokenizer"]["pieces"][0][0] = "x"
    path.write_text(yaml.safe_dump(plain))
    with pytest.raises(ModelError, match="digest is not that of the pieces"):
        read_config(result.model)


def test_it_learns_the_tones_in_pieces(train_tiny: Any, tones: Path) -> None:
    result, recorder = train_tiny(
        tokenizer=SPELT,
        training={"epochs": 15, "checkpoint_seconds": 1000, "keep_best": 1},
        model={"dropout": 0.0},
        optimizer={"lr": 0.02},
    )
    assert sum(recorder.losses[-6:]) < 0.6 * sum(recorder.losses[:6])
    assert len(Manifest(tones / "dev.jsonl")) == len(result.scores["dev"].utterances)


# ---- what cannot be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 100}, "size is for pieces"),
        ({"kind": "bpe"}, "one of size and model"),
        ({"kind": "bpe", "size": 9, "model": "x"}, "one of size and model"),
        ({"kind": "bpe", "size": 9, "pieces": [("a", 0.0)]}, "digest is not that"),
        ({"kind": "word", "size": 9}, "kind"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TokenizerConfig.model_validate(given)


def test_unlearnt_pieces_spell_nothing() -> None:
    with pytest.raises(TextError, match="no pieces yet"):
        TokenizerConfig(kind="bpe", size=9).build()


def test_a_size_that_does_not_go_with_the_texts() -> None:
    with pytest.raises(RecipeError, match=r"tokenizer.size 5 does not go with"):
        settled(TokenizerConfig(kind="unigram", size=5), TEXTS)
    with pytest.raises(RecipeError, match="nothing to learn"):
        settled(TokenizerConfig(kind="unigram", size=50), ["42"])


def test_models_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "nonsense").write_bytes(b"nonsense")
    unigram = own_model(tmp_path / "unigram.model", "unigram")
    in_bytes = own_model(tmp_path / "bytes.model", "bpe", byte_fallback=True, vocab_size=320)
    cases = {
        tmp_path / "absent": "No such file",
        tmp_path / "nonsense": "is not a model of sentencepiece",
        in_bytes: "spells bytes",
        unigram: "otherwise than kind bpe does",
    }
    for path, said in cases.items():
        with pytest.raises(RecipeError, match=said):
            settled(TokenizerConfig(kind="bpe", model=path), TEXTS)
    with pytest.raises(RecipeError, match="cannot spell"):
        settled(TokenizerConfig(kind="unigram", model=unigram, alphabet=" 42"), ["42"])


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingExtraError, match=r"'\.\[train\]"):
        settled(TokenizerConfig(kind="bpe", size=60), TEXTS)
    assert issubclass(MissingExtraError, StenoError)
