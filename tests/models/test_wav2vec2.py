"""Fine-tuning of wav2vec 2.0: the library's numbers, padding, learning rates by layer, checkpoints that are none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from steno.errors import MissingExtraError, ModelError, RecipeError
from steno.features.config import FeatureConfig, MaskConfig
from steno.models import wav2vec2
from steno.models.config import Wav2Vec2Config
from steno.models.export import export_onnx
from steno.models.registry import AcousticModel
from steno.runtime import Recognizer
from steno.training.optim import build_optimizer, set_learning_rate
from steno.training.recipe import OptimizerConfig, load_recipe

transformers = pytest.importorskip("transformers")

SAMPLES = FeatureConfig(kind="waveform", normalize="utterance")
KINDS = {
    "base": {"feat_extract_norm": "group", "do_stable_layer_norm": False},
    "large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
}


@pytest.fixture(scope="session", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with random weights, of either kind. Not to be changed."""
    return saved(tmp_path_factory.mktemp("checkpoint"), **KINDS[request.param])


def saved(folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": (12,) * 7,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    }
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**{**sizes, **changes})).save_pretrained(folder)
    return folder


def loaded(checkpoint: Path, **changes: Any) -> AcousticModel:
    torch.manual_seed(1)
    model = AcousticModel(SAMPLES, Wav2Vec2Config(checkpoint=str(checkpoint), **changes), 7)
    assert isinstance(model.encoder, wav2vec2.Wav2Vec2)
    model.encoder.load()
    return model.eval()


def noise(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    samples = torch.zeros(len(lengths), max(lengths))
    for row, length in enumerate(lengths):
        samples[row, :length] = 0.1 * torch.randn(length, generator=generator) + 0.05
    return samples, torch.tensor(lengths)


def test_the_numbers_are_the_librarys(checkpoint: Path) -> None:
    model = loaded(checkpoint)
    library = transformers.Wav2Vec2Model.from_pretrained(checkpoint).eval()
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    samples, lengths = noise(9001)
    heard = torch.tensor(extractor(samples[0].numpy(), sampling_rate=16_000)["input_values"][0])[None]
    with torch.inference_mode():
        expected = model.encoder.classifier(library(heard).last_hidden_state).log_softmax(dim=-1)
        found, frames = model(samples, lengths)
    assert found.shape[1] == int(frames[0]) == int(library._get_feat_extract_output_lengths(9001))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_alone_or_in_a_batch_the_same(checkpoint: Path) -> None:
    model = loaded(checkpoint)
    samples, lengths = noise(1, 399, 400, 720, 5000, 12_345)
    with torch.inference_mode():
        together, frames = model(samples, lengths)
        assert torch.equal(frames, model.frames(lengths))
        assert frames.tolist()[:4] == [1, 1, 1, 2]
        for row, length in enumerate(lengths.tolist()):
            alone, count = model(samples[row : row + 1, :length], lengths[row : row + 1])
            assert alone.shape[1] == int(count[0]) == int(frames[row])
            torch.testing.assert_close(together[row, : int(count[0])], alone[0], rtol=1e-4, atol=1e-4)


def test_the_graph_is_the_model(checkpoint: Path, tmp_path: Path) -> None:
    assert export_onnx(loaded(checkpoint), tmp_path / "model.onnx") < 1e-4


def test_the_convolutions_are_frozen_and_all_else_learns(checkpoint: Path) -> None:
    model = loaded(checkpoint, layer_drop=0.0).train()
    config = MaskConfig(time_masks=2, time_width=0.3)
    uniform = torch.rand(2, config.draws, generator=torch.Generator().manual_seed(0))
    log_probs, _ = model(*noise(9000, 7000), (config, uniform))
    log_probs.square().sum().backward()
    for name, parameter in model.named_parameters():
        frozen = "feature_extractor" in name
        assert parameter.requires_grad != frozen
        assert (parameter.grad is None) == frozen, name


def test_masks_hide_frames_and_come_from_their_numbers_alone(checkpoint: Path) -> None:
    model = loaded(checkpoint)
    config = MaskConfig(frequency_masks=0, time_masks=1, time_width=0.5)
    samples, lengths = noise(9000)
    with torch.inference_mode():
        plain, _ = model(samples, lengths)
        masked, _ = model(samples, lengths, (config, torch.tensor([[0.9, 0.2]])))
        again, _ = model(samples, lengths, (config, torch.tensor([[0.9, 0.2]])))
        none, _ = model(samples, lengths, (config, torch.tensor([[0.0, 0.2]])))
    assert torch.equal(masked, again)
    assert not torch.allclose(masked, plain, atol=1e-3)
    torch.testing.assert_close(none, plain)


def test_checkpointed_gradients_are_the_gradients(checkpoint: Path) -> None:
    found = []
    for checkpointed in (False, True):
        model = loaded(checkpoint, checkpoint_gradients=checkpointed, dropout=0.2, layer_drop=0.0).train()
        torch.manual_seed(3)
        model(*noise(5000))[0].square().sum().backward()
        found.append(model.encoder.body.encoder.layers[0].feed_forward.intermediate_dense.weight.grad)
    torch.testing.assert_close(found[0], found[1])


def test_each_layer_has_its_learning_rate(checkpoint: Path) -> None:
    model = loaded(checkpoint, layer_decay=0.5)
    scales = model.learning_rate_scales()
    optimizer = build_optimizer(model, OptimizerConfig(), scales)
    set_learning_rate(optimizer, 0.8)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    assert found["encoder.classifier.weight"] == 0.8
    for layer, rate in enumerate((0.1, 0.2, 0.4)):
        assert found[f"encoder.body.encoder.layers.{layer}.attention.q_proj.weight"] == pytest.approx(rate)
    assert found["encoder.body.feature_projection.projection.weight"] == pytest.approx(0.05)
    assert all("feature_extractor" not in name for name in found)
    assert len(found) == sum(len(group["params"]) for group in optimizer.param_groups)


# ---- end to end ------------------------------------------------------------------------------------------------


def recipe(checkpoint: Path, **more: Any) -> dict[str, Any]:
    return {
        "model": {"architecture": "wav2vec2", "checkpoint": str(checkpoint), **more},
        "features": {"kind": "waveform", "normalize": "utterance", "n_mels": 80},
        "augment": {"mask": {"time_width": 0.1}},
        "data": {"limit": 8},
    }


def test_fine_tuning_end_to_end(tmp_path: Path, train_tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a checkpoint of random weights to a model folder that needs the checkpoint no more."""
    folder = saved(tmp_path / "pretrained", **KINDS["base"])
    result, recorder = train_tiny(training={"epochs": 2}, optimizer={"lr": 0.003}, **recipe(folder))
    assert recorder.losses[-1] < recorder.losses[0]
    shutil.rmtree(folder)
    monkeypatch.setattr(wav2vec2, "_pretrained", None)
    recognizer = Recognizer(result.model)
    assert recognizer.config.seconds_per_frame == 0.02
    config = recognizer.config
    model = AcousticModel(config.features, config.model, len(config.tokenizer.build())).eval()
    from safetensors.torch import load_file

    model.load_state_dict(load_file(result.model / "model.safetensors"))
    audio = [tiny.speak("ab cd", 1), tiny.speak("a", 2)]
    for samples, emission in zip(audio, recognizer.emissions(audio), strict=True):
        with torch.inference_mode():
            expected, _ = model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
        assert np.abs(emission - expected[0].numpy()).max() < 1e-3


def test_a_resumed_run_needs_no_checkpoint(tmp_path: Path, train_tiny: Any) -> None:
    folder = saved(tmp_path / "pretrained", **KINDS["base"])
    train_tiny("run", training={"epochs": 1}, **recipe(folder))
    shutil.rmtree(folder)
    result, _ = train_tiny("run", resume=True, change=True, training={"epochs": 2}, **recipe(folder))
    assert result.scores["dev"].utterances


# ---- what cannot be --------------------------------------------------------------------------------------------


def spoil(folder: Path, **changes: Any) -> None:
    plain = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**plain, **changes}))


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def only_a_pickle(folder: Path) -> None:
    no_weights(folder)
    torch.save({"a": torch.zeros(1)}, folder / "pytorch_model.bin")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def another_kind(folder: Path) -> None:
    spoil(folder, model_type="hubert")


def damaged(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"nonsense")


def an_adapter(folder: Path) -> None:
    spoil(folder, add_adapter=True)


def deeper(folder: Path) -> None:
    spoil(folder, num_hidden_layers=4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_weights, "cannot be read"),
        (only_a_pickle, "never from pickles"),
        (no_config, "has no config.json"),
        (another_kind, "is a hubert checkpoint, not a wav2vec2 one"),
        (damaged, "cannot be read"),
        (an_adapter, "has an adapter"),
        (deeper, "lacks weights"),
    ],
)
def test_checkpoints_that_cannot_be_used(change: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "pretrained", **KINDS["base"])
    change(folder)
    with pytest.raises(ModelError) as raised:
        loaded(folder)
    assert said in str(raised.value)
    assert str(folder) in raised.value.message


def test_neither_a_folder_nor_on_a_hub_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError) as raised:
        wav2vec2.read_sizes("steno-tests/no-such-checkpoint")
    assert "no such folder, and the Hugging Face hub" in raised.value.message
    assert "HF_HUB_OFFLINE is set" in raised.value.message
    assert "config.json and model.safetensors" in raised.value.hint
    with pytest.raises(ModelError, match="no such folder"):
        wav2vec2.read_sizes(str(tmp_path / "absent"))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"'\.\[wav2vec2\]"):
        wav2vec2.read_sizes("x")


def test_samples_as_the_checkpoint_was_trained_on(tmp_path: Path) -> None:
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=False, sampling_rate=8000)
    extractor.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="takes 8000 Hz"):
        wav2vec2.check_samples(str(tmp_path), SAMPLES)
    at_8000 = SAMPLES.model_copy(update={"sample_rate": 8000})
    with pytest.raises(ModelError, match="normalize none"):
        wav2vec2.check_samples(str(tmp_path), at_8000)
    wav2vec2.check_samples(str(tmp_path), at_8000.model_copy(update={"normalize": "none"}))
    wav2vec2.check_samples(str(tmp_path / "silent"), SAMPLES)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": {"kind": "log-mel", "n_mels": 80}}, "features.kind is waveform for model.architecture wav2vec2"),
        ({"model": {"architecture": "conformer"}}, "and for no other"),
        ({"features": {"kind": "waveform", "normalize": "corpus"}}, "no corpus statistics"),
        ({"features": {"kind": "waveform", "normalize": "none", "n_fft": 512}}, "makes no use of n_fft"),
        ({"model": {"architecture": "wav2vec2"}}, "`model.checkpoint`"),
    ],
)
def test_recipes_that_cannot_be(changes: dict[str, Any], said: str, tones: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as raised:
        load_recipe(tiny.write_recipe(tmp_path / "r.yaml", tones, **{**recipe(Path("x")), **changes}))
    assert said in raised.value.message
