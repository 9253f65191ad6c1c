"""Means of weights: what is in them, and of what there is none."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file

from steno.runtime.folder import read_config

CONFORMER = {"architecture": "conformer", "size": 24, "layers": 2, "heads": 2, "kernel": 3, "stem_channels": 8}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_mean_is_of_each_by_its_share(train_tiny: Any, model: Path, tones: Path, tmp_path: Path, steno: Any) -> None:
    changes = {"training": {"epochs": 1, "start_from": str(model)}}
    tuned = train_tiny("tuned", **changes)[0].model
    ran = steno("mix", model, tuned, "--share", 3, "--share", 1, "--to", tmp_path / "mean")
    assert ran.code == 0, ran.err
    found, first, second = weights(tmp_path / "mean"), weights(model), weights(tuned)
    for name in found:
        if name.startswith("encoder."):
            torch.testing.assert_close(found[name], 0.75 * first[name] + 0.25 * second[name])
    assert found["encoder.classifier.weight"].ne(first["encoder.classifier.weight"]).any()
    parts = read_config(tmp_path / "mean").provenance["mean_of"]
    assert [part["share"] for part in parts] == [0.75, 0.25]
    assert [part["train"] for part in parts] == [read_config(one).provenance["train"] for one in (model, tuned)]
    card = (tmp_path / "mean" / "README.md").read_text()
    assert str(tuned) in card
    assert parts[0]["train"]["digest"] in card
    assert steno("evaluate", "--model", tmp_path / "mean", "--data", tones / "dev.jsonl", "--no-log").code == 0
    assert "already exists" in steno("mix", model, tuned, "--to", tmp_path / "mean").err


def test_a_model_and_itself_is_the_model(model: Path, tmp_path: Path, steno: Any) -> None:
    assert steno("mix", model, model, "--to", tmp_path / "mean").code == 0
    found, before = weights(tmp_path / "mean"), weights(model)
    for name in before:
        torch.testing.assert_close(found[name], before[name])


def test_a_model_in_8_bits_has_a_mean_too(tmp_path: Path, steno: Any) -> None:
    ran = steno("mix", "small-en", "small-en", "--to", tmp_path / "mean")
    assert ran.code == 0, ran.err
    assert weights(tmp_path / "mean").keys() >= {"encoder.stem.convs.1.weight", "encoder.phonemes.classifier.weight"}


def test_phonemes_that_only_one_has_stay_its_own(train_tiny: Any, tmp_path: Path, steno: Any) -> None:
    pytest.importorskip("espeakng_loader")
    training = {"epochs": 1}
    plain = train_tiny("plain", model=CONFORMER, training=training)[0].model
    both = train_tiny("both", model=CONFORMER, training=training, phonemes={"block": 1})[0].model
    ran = steno("mix", both, plain, "--to", tmp_path / "mean")
    assert ran.code == 0, ran.err
    assert "encoder.phonemes.classifier.weight" in ran.out
    found = weights(tmp_path / "mean")
    assert torch.equal(found["encoder.phonemes.classifier.weight"], weights(both)["encoder.phonemes.classifier.weight"])
    assert read_config(tmp_path / "mean").phonemes == read_config(both).phonemes
    assert steno("mix", both, plain, "--share", 0, "--share", 1, "--to", tmp_path / "unheard").code == 0
    found = weights(tmp_path / "unheard")
    assert torch.equal(found["encoder.phonemes.classifier.weight"], weights(both)["encoder.phonemes.classifier.weight"])
    assert torch.equal(found["encoder.classifier.weight"], weights(plain)["encoder.classifier.weight"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": CONFORMER}, "conformer"),
        ({"tokenizer": {"alphabet": " abcde"}}, "tokenizer"),
        ({"features": {"normalize": "none"}}, "features"),
        ({"model": {"rnn_size": 16}}, "same size"),
    ],
)
def test_what_has_no_mean(changes: Any, said: str, train_tiny: Any, model: Path, tmp_path: Path, steno: Any) -> None:
    other = train_tiny("other", training={"epochs": 1}, **changes)[0].model
    ran = steno("mix", model, other, "--to", tmp_path / "mean")
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "mean").exists()


def test_shares_are_one_for_each_model(model: Path, tmp_path: Path, steno: Any) -> None:
    assert "1 shares" in steno("mix", model, model, "--share", 1, "--to", tmp_path / "mean").err
    assert steno("mix", model, "--to", tmp_path / "mean").code == 2
    assert steno("mix", model, tiny.__file__, "--to", tmp_path / "mean").code == 2
