"""Phonemes beside letters, from the recipe to the text."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import yaml

from steno.audio import load
from steno.data.loading import Item, collate
from steno.data.manifest import Manifest
from steno.decoding.config import DecodingConfig
from steno.errors import RecipeError
from steno.export.folder import export_onnx
from steno.export.forms import load as load_form
from steno.export.sherpa import export_sherpa
from steno.lm import open_lm
from steno.lm.build import build
from steno.models.registry import AcousticModel, Heads
from steno.phonemes import PRONUNCIATIONS, PhonemeConfig, pronounce
from steno.runtime import DecodingOptions, Recognizer
from steno.runtime.folder import DecodingFiles, read_config, with_decoding
from steno.training.loss import LossWeights, ctc_losses, training_losses
from steno.training.recipe import load_recipe

pytest.importorskip("espeakng_loader")

CONFORMER = {"architecture": "conformer", "size": 24, "layers": 2, "heads": 2, "kernel": 3, "stem_channels": 8}
PHONEMES = {"block": 1, "weight": 0.4}


@pytest.fixture(scope="module")
def run(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a model that has learnt letters and phonemes. Not to be changed."""
    from steno.training.run import train

    folder = tmp_path_factory.mktemp("phonemes")
    changes = {"training": {"epochs": 25, "intermediate_weight": 0.2}, "optimizer": {"lr": 0.01}}
    model = CONFORMER | {"intermediate": [1]}
    recipe = tiny.write_recipe(folder / "r.yaml", tones, model=model, phonemes=PHONEMES, **changes)
    train(load_recipe(recipe), folder / "run", display=tiny.Recorder(), tracked=False)
    return folder / "run"


@pytest.fixture
def tuned(run: Path, tones: Path, tmp_path: Path, steno: Any) -> Path:
    """Its model with a language model."""
    folder = tmp_path / "tuning"
    folder.mkdir()
    text = folder / "text.txt"
    text.write_text("\n".join(utterance.text or "" for utterance in Manifest(tones / "train.jsonl")))
    build([text], [folder / "lm.bin"], order=2)
    ran = steno(
        *("lm", "tune", run / "model", "--lm", folder / "lm.bin", "--data", tones / "dev.jsonl"),
        *("--to", folder / "tuned", "--trials", 2),
    )
    assert ran.code == 0, ran.err
    assert "phonemes    0:" in ran.out
    return folder / "tuned"


def test_a_lexicon_of_ones_own_comes_first(tuned: Path, tones: Path, tmp_path: Path, steno: Any) -> None:
    def tune(lexicon: dict[str, str], to: str) -> Any:
        path = tmp_path / "own.tsv"
        path.write_text("".join(f"{word}\t{sound}\n" for word, sound in lexicon.items()), encoding="utf-8")
        return steno(
            *("lm", "tune", tuned, "--lm", tuned / "lm.bin", "--data", tones / "dev.jsonl", "--trials", 1),
            *("--lexicon", path, "--to", tmp_path / to),
        )

    said = sorted(word for word in open_lm(tuned / "lm.bin").words() if word.isalpha())
    refused = tune({said[0]: "k AE1 b"}, "refused")
    assert refused.code == 2
    assert "own.tsv:1" in refused.err
    right = tune({"zebra": "b b"}, "right")
    assert right.code == 0, right.err
    assert "not in the language model: zebra" in right.err
    sounds = pronounce(said, "en-us")
    others = dict(zip(said, (" ".join(sounds[word]) for word in reversed(said)), strict=True))
    wrong = tune(others, "wrong")
    assert wrong.code == 0, wrong.err

    def by_share(ran: Any) -> list[str]:
        (line,) = (line for line in ran.out.splitlines() if line.startswith("phonemes"))
        return line.removeprefix("phonemes").split(",")

    assert by_share(wrong)[0] == by_share(right)[0]  # letters alone
    assert by_share(wrong)[1:] != by_share(right)[1:]


def emission(folder: Path, samples: np.ndarray) -> np.ndarray:
    return Recognizer(folder, decoding=DecodingOptions(method="greedy")).emissions([samples])[0]


def test_the_folder_says_which_phonemes_it_writes(run: Path) -> None:
    config = read_config(run / "model")
    assert config.phonemes is not None
    assert {"b", "d", "k"} <= set(config.phonemes.symbols)
    assert f"Phonemes, after block 1: {len(config.phonemes.symbols)}, as" in (run / "model" / "README.md").read_text()
    samples = tiny.speak("ab cd")
    found = emission(run / "model", samples)
    letters = len(config.tokenizer.build())
    assert found.shape[1] == letters + len(config.phonemes.symbols) + 1
    for part in (found[:, :letters], found[:, letters:]):
        np.testing.assert_allclose(np.exp(part).sum(axis=1), 1, rtol=1e-4)


def test_it_learns_both(run: Path, tones: Path) -> None:
    config = read_config(run / "model")
    assert config.provenance["measured"]["dev"]["wer"] < 0.5
    assert config.phonemes is not None
    letters = len(config.tokenizer.build())
    heard = set()
    for utterance in Manifest(tones / "dev.jsonl"):
        heard |= set(emission(run / "model", load(utterance.audio, tiny.RATE))[:, letters:].argmax(axis=1).tolist())
    assert 0 in heard
    assert len(heard) > 3


def test_the_forms_of_the_model_agree(run: Path, tmp_path: Path) -> None:
    export_onnx(run / "model", tmp_path / "out")
    samples = tiny.speak("dab cab")
    forms = [load_form("torch", run / "model", 1)(samples), load_form("onnx", tmp_path / "out", 1)(samples)]
    assert forms[0].text == forms[1].text == "dab cab"
    assert forms[0].emission_tv is not None
    assert forms[1].emission_tv is not None
    np.testing.assert_allclose(forms[0].emission_tv, forms[1].emission_tv, atol=1e-3)


def test_sherpa_gets_the_letters_alone(run: Path, tmp_path: Path) -> None:
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    export_sherpa(run / "model", tmp_path / "out")
    theirs = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(tmp_path / "out" / "model.onnx"), tokens=str(tmp_path / "out" / "tokens.txt")
    )
    stream = theirs.create_stream()
    stream.accept_waveform(16_000, tiny.speak("dab cab"))
    theirs.decode_stream(stream)
    assert " ".join(stream.result.text.split()) == "dab cab"


def test_tuning_keeps_what_the_words_sound_like(tuned: Path, tones: Path, tmp_path: Path, steno: Any) -> None:
    config = read_config(tuned)
    assert config.decoding.lm == "lm.bin"
    if not config.decoding.phoneme_share:  # the letters may be all that so easy a language needs
        assert config.decoding.pronunciations is None
        return
    assert config.decoding.pronunciations == PRONUNCIATIONS
    export_onnx(tuned, tmp_path / "out")
    audio = next(iter(Manifest(tones / "dev.jsonl"))).audio
    assert (
        steno("transcribe", audio, "--model", tmp_path / "out").out == steno("transcribe", audio, "--model", tuned).out
    )
    (tmp_path / "out" / PRONUNCIATIONS).unlink()
    broken = steno("transcribe", audio, "--model", tmp_path / "out")
    assert broken.code == 2
    assert PRONUNCIATIONS in broken.err


def test_a_share_can_be_asked_for(run: Path, tuned: Path, tones: Path, tmp_path: Path, steno: Any) -> None:
    audio = next(iter(Manifest(tones / "dev.jsonl"))).audio
    refused = steno("transcribe", audio, "--model", run / "model", "--phoneme-share", 0.5)
    assert refused.code == 2
    assert "lm tune" in refused.err
    folder = tmp_path / "shared"
    shutil.copytree(tuned, folder)
    from steno.phonemes import pronounce, write_pronunciations

    write_pronunciations(folder / PRONUNCIATIONS, pronounce(["a", "ab", "dab", "cab", "bad"], "en-us"))
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    stored["decoding"] |= {"pronunciations": PRONUNCIATIONS, "phoneme_share": 0.0}
    from steno.config import validate
    from steno.errors import ModelError
    from steno.runtime.folder import FolderConfig, write_config

    write_config(folder, validate(FolderConfig, stored, "x", ModelError))
    ran = steno("transcribe", audio, "--model", folder, "--phoneme-share", 0.5)
    assert ran.code == 0, ran.err


def test_a_run_that_was_stopped_goes_on_with_the_same(train_tiny: Any, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"model": CONFORMER, "phonemes": PHONEMES, "augment": {"vocal_tract": 0.1}}
    whole, _ = train_tiny("whole", training={"epochs": 2}, **changes)
    train_tiny("parts", training={"epochs": 1}, **changes)
    parts, _ = train_tiny("parts", training={"epochs": 2}, resume=True, change=True, **changes)
    assert read_config(whole.model).phonemes == read_config(parts.model).phonemes


def test_a_fine_tuned_model_keeps_the_phonemes_of_the_one_before(train_tiny: Any, run: Path) -> None:
    changes = {"training": {"epochs": 1, "start_from": str(run / "model")}, "optimizer": {"lr": 1e-6}}
    small = {"data": {"limit": 3}}
    result, said = train_tiny("tuned", model=CONFORMER, phonemes=PHONEMES, **changes, **small)
    ours, theirs = read_config(result.model).phonemes, read_config(run / "model").phonemes
    assert ours is not None
    assert theirs is not None
    assert ours.symbols == theirs.symbols
    assert not any("fresh are" in line for line in said.messages)
    _, plain = train_tiny("plain", model=CONFORMER, **changes, **small)
    assert not any("fresh are" in line for line in plain.messages)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"phonemes": {"block": 2}}, "phonemes.block 2"),
        ({"phonemes": {"block": 1}, "model": CONFORMER | {"squeeze": [1, 2]}}, "model.squeeze"),
        ({"phonemes": {"block": 1}, "model": {"architecture": "jasper"}}, "conformer"),
        ({"augment": {"vocal_tract": 0.1}, "features": {"kind": "mfcc", "n_mels": 16, "n_mfcc": 8}}, "log-mel"),
    ],
)
def test_recipes_that_cannot_be(changes: dict[str, Any], said: str, tones: Path, tmp_path: Path) -> None:
    path = tiny.write_recipe(tmp_path / "r.yaml", tones, **{"model": CONFORMER} | changes)
    with pytest.raises(RecipeError, match=said):
        load_recipe(path)


def test_a_voice_that_is_not_there_is_named(train_tiny: Any) -> None:
    with pytest.raises(Exception, match="nobody"):
        train_tiny(model=CONFORMER, phonemes={"block": 1, "voice": "nobody"})


def test_an_utterance_of_unknown_sound_has_the_letters_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    letters, phonemes = (torch.randn(2, 9, size, generator=generator).log_softmax(dim=-1) for size in (4, 5))
    frames = torch.tensor([9, 9])
    items = [Item(0, np.zeros(9, np.float32), [1, 2], [], [1, 4]), Item(1, np.zeros(9, np.float32), [3], [])]
    batch = collate(items)
    plain = training_losses(Heads(letters[None]), frames, batch)
    both = training_losses(Heads(letters[None], phonemes), frames, batch, LossWeights(phonemes=0.25))
    assert both[1] == plain[1]
    alone = collate([Item(0, np.zeros(9, np.float32), [1, 4], [])])
    expected = 0.75 * plain[0] + 0.25 * ctc_losses(phonemes[:1], frames[:1], alone)[0]
    torch.testing.assert_close(both[0], expected)


def test_a_streaming_conformer_writes_phonemes_too(tones: Path, tmp_path: Path) -> None:
    from steno.training.publish import write_model_folder

    chunks = {"chunk_frames": 4, "left_chunks": 2, "causal": True}
    recipe = load_recipe(tiny.write_recipe(tmp_path / "r.yaml", tones, model=CONFORMER | chunks))
    phonemes = PhonemeConfig(block=1, symbols=("k", "t"))
    recipe = recipe.model_copy(update={"phonemes": phonemes})
    model = AcousticModel(recipe.features, recipe.model, len(recipe.tokenizer.build()), phonemes)
    write_model_folder(tmp_path / "model", recipe, model, {})  # which proves that its steps make up the model
    samples = tiny.speak("dab")
    stepped = load_form("streaming", tmp_path / "model", 1)(samples).emission_tv
    assert stepped is not None
    np.testing.assert_allclose(stepped, emission(tmp_path / "model", samples), atol=1e-3)


def test_other_families_have_none() -> None:
    from steno.features.config import FeatureConfig
    from steno.models.config import ResCnnBiGruConfig

    with pytest.raises(ValueError, match="no phonemes"):
        AcousticModel(FeatureConfig(), ResCnnBiGruConfig(), 5, PhonemeConfig(block=1, symbols=("k",)))


def test_an_export_without_phonemes_is_a_start_for_a_model_with_them(train_tiny: Any, tmp_path: Path) -> None:
    plain = train_tiny("plain", model=CONFORMER, training={"epochs": 1})[0].model
    export_onnx(plain, tmp_path / "onnx")
    changes = {"training": {"epochs": 1, "start_from": str(tmp_path / "onnx")}}
    _, said = train_tiny("both", model=CONFORMER, phonemes=PHONEMES, **changes)
    (line,) = [line for line in said.messages if "fresh are" in line]
    assert set(line.split("fresh are ")[1].split(", ")) == {
        f"encoder.phonemes.{layer}.{kind}" for layer in ("norm", "classifier", "heard") for kind in ("weight", "bias")
    }


def test_settings_without_a_second_pass_leave_no_pronunciations(run: Path, tmp_path: Path) -> None:
    told = DecodingConfig(method="beam", pronunciations=PRONUNCIATIONS, phoneme_share=0.5)
    with_decoding(
        run / "model", tmp_path / "tuned", told, DecodingFiles(pronounced={"cab": ("k", "æ", "b")}), {}, "told"
    )
    assert (tmp_path / "tuned" / PRONUNCIATIONS).is_file()
    with_decoding(tmp_path / "tuned", tmp_path / "tuned", DecodingConfig(method="beam"), DecodingFiles(), {}, "told")
    assert not (tmp_path / "tuned" / PRONUNCIATIONS).exists()
    assert PRONUNCIATIONS not in read_config(tmp_path / "tuned").files
