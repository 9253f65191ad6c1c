"""Fine-tuning: a run that starts with the weights of a trained model."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import yaml
from safetensors.torch import load_file

from steno.errors import ModelError, RecipeError
from steno.lm.build import build as build_lm
from steno.models.registry import AcousticModel
from steno.runtime import Recognizer
from steno.runtime.folder import read_config
from steno.training.recipe import load_recipe
from steno.training.start import start_from

SLOW = {"lr": 1e-6}


def test_it_starts_where_the_other_ended(train_tiny: Any, model: Path) -> None:
    _, fresh = train_tiny("fresh", training={"epochs": 1}, optimizer=SLOW)
    result, tuned = train_tiny("tuned", training={"epochs": 1, "start_from": str(model)}, optimizer=SLOW)
    assert fresh.rows[-1]["dev_wer"] > 0.9
    assert tuned.rows[-1]["dev_wer"] < 0.2
    assert any(f"starting from {model}" in line for line in tuned.messages)
    assert not any("fresh are" in line for line in tuned.messages)
    provenance = yaml.safe_load((result.model / "config.yaml").read_text())["provenance"]
    assert provenance["started_from"] == str(model)
    assert f"started from `{model}`" in (result.model / "README.md").read_text()


def test_it_decodes_with_the_others_language_model(
    steno: Any, train_tiny: Any, model: Path, tones: Path, tmp_path: Path
) -> None:
    pytest.importorskip("flashlight.lib.text")
    (tmp_path / "text.txt").write_text("ab cd ba dc\n" * 50)
    build_lm([tmp_path / "text.txt"], [tmp_path / "lm.bin"], order=2, alphabet=tiny.ALPHABET)
    start = tmp_path / "start"
    ran = steno("lm", "tune", model, "--lm", tmp_path / "lm.bin", "--data", tones / "dev.jsonl", "--to", start)
    assert ran.code == 0, ran.err
    result, tuned = train_tiny("tuned", training={"epochs": 1, "start_from": str(start)}, optimizer=SLOW)
    assert any("decodes with the language model of" in line for line in tuned.messages)
    mine, theirs = read_config(result.model), read_config(start)
    assert mine.decoding == theirs.decoding.model_copy(update={"calibration": {}})
    assert (result.model / "lm.bin").read_bytes() == (tmp_path / "lm.bin").read_bytes()
    Recognizer(result.model, threads=1)


def test_another_normalisation_takes_the_weights_and_its_own_statistics(train_tiny: Any, model: Path) -> None:
    theirs = yaml.safe_load((model / "config.yaml").read_text())["features"]["normalize"]
    other = {"corpus": "utterance", "utterance": "corpus"}[theirs]
    changes = {"training": {"epochs": 1, "start_from": str(model)}, "optimizer": SLOW}
    result, tuned = train_tiny("other", features={"normalize": other}, **changes)
    (said,) = [line for line in tuned.messages if line.startswith("starting from")]
    assert said == f"starting from {model}, which was trained with features.normalize {theirs!r}, not {other!r}"
    found, before = load_file(result.model / "model.safetensors"), load_file(model / "model.safetensors")
    assert torch.equal(found["frontend.mean"], before["frontend.mean"]) == (other == theirs)
    torch.testing.assert_close(
        found["encoder.classifier.weight"], before["encoder.classifier.weight"], atol=1e-3, rtol=0
    )


def test_a_conformer_that_becomes_causal_keeps_the_past_half_of_its_kernels(train_tiny: Any) -> None:
    small = {"architecture": "conformer", "size": 24, "layers": 1, "heads": 2, "kernel": 5, "stem_channels": 8}
    first, _ = train_tiny("sees-both-sides", training={"epochs": 1}, model=small)
    changes = {"training": {"epochs": 1, "start_from": str(first.model)}, "optimizer": {"lr": 1e-9}}
    second, _ = train_tiny("causal", model={**small, "causal": True}, **changes)
    name = "encoder.blocks.0.convolution.depthwise.weight"
    before, after = (load_file(run.model / "model.safetensors")[name] for run in (first, second))
    torch.testing.assert_close(after[..., 2:], before[..., :3], atol=1e-6, rtol=0)
    assert float(after[..., :2].abs().max()) < 1e-6


def test_other_labels_get_a_fresh_classifier(train_tiny: Any, model: Path) -> None:
    tokenizer = {"alphabet": " abcde"}
    _, tuned = train_tiny(training={"epochs": 1, "start_from": str(model)}, tokenizer=tokenizer, optimizer=SLOW)
    (said,) = [line for line in tuned.messages if line.startswith("starting from")]
    assert said.endswith("fresh are encoder.classifier.weight, encoder.classifier.bias")


def test_what_does_not_fit_is_refused(train_tiny: Any, model: Path, tmp_path: Path) -> None:
    training = {"epochs": 1, "start_from": str(model)}
    with pytest.raises(RecipeError, match="features: n_mels 16, not 20"):
        train_tiny("mels", training=training, features={"n_mels": 20})
    with pytest.raises(RecipeError, match=r"features: f_min 0\.0, not 40\.0"):
        train_tiny("floor", training=training, features={"f_min": 40, "normalize": "utterance"})
    with pytest.raises(RecipeError, match=r"model\.architecture: rescnn-bigru, not conformer"):
        train_tiny("family", training=training, model={"architecture": "conformer", "size": 24, "layers": 1})
    with pytest.raises(ModelError, match="no such model folder"):
        train_tiny("missing", training=training | {"start_from": str(tmp_path / "none")})


def test_a_resumed_run_does_not_need_it_again(steno: Any, model: Path, tones: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(model, start)
    recipe = tiny.write_recipe(tmp_path / "r.yaml", tones, training={"epochs": 1, "start_from": str(start)})
    ran = steno("train", recipe, "--to", tmp_path / "run", "--no-track")
    assert ran.code == 0, ran.err
    shutil.rmtree(start)
    ran = steno("train", recipe, "--to", tmp_path / "run", "--no-track", "--resume")
    assert ran.code == 0, ran.err


def test_an_export_gives_its_weights_back_or_says_that_it_cannot(train_tiny: Any, model: Path, tmp_path: Path) -> None:
    from steno.export.folder import export_onnx

    small = {"architecture": "conformer", "size": 24, "layers": 1, "heads": 2, "kernel": 3, "stem_channels": 8}
    first, _ = train_tiny("first", training={"epochs": 1}, model=small)
    export_onnx(first.model, tmp_path / "export")
    results = [
        train_tiny(name, training={"epochs": 1, "start_from": str(folder)}, model=small)[1].losses
        for name, folder in (("whole", first.model), ("graph", tmp_path / "export"))
    ]
    assert results[0] == results[1]
    export_onnx(model, tmp_path / "gru")
    with pytest.raises(ModelError, match="does not give all weights back"):
        train_tiny("gru-run", training={"epochs": 1, "start_from": str(tmp_path / "gru")})


@pytest.mark.parametrize("name", ["fine-tune-small-en", "stream-small-en"])
def test_the_recipes_that_tune_the_bundled_model_fit_it(name: str) -> None:
    """Every weight is taken; none starts afresh."""
    recipe = load_recipe(Path(__file__).parents[2] / "recipes" / f"{name}.yaml")
    model = AcousticModel(recipe.features, recipe.model, len(recipe.tokenizer.build()))
    assert recipe.training.start_from == "small-en"
    said: list[str] = []
    start_from(model, "small-en", recipe, None, said.append)
    assert len(said) == 1
    assert said[0].startswith("starting from small-en")
    assert "fresh are" not in said[0]
