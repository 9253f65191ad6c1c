"""What every family owes: an utterance is the same alone and in a batch, weights learn, the graph is the model."""

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from steno.features.config import FeatureConfig
from steno.models.config import (
    ConformerConfig,
    JasperConfig,
    ModelConfig,
    QuartzNetConfig,
    ResCnnBiGruConfig,
    ResCnnGruStreamConfig,
)
from steno.models.export import export_onnx
from steno.models.layers import MaskedBatchNorm, statistics
from steno.models.registry import AcousticModel, build_encoder

Module = TypeVar("Module", bound=nn.Module)

FEATURES = FeatureConfig(n_mels=23)
SHORT: dict[str, Any] = {
    "stem_channels": 8,
    "stem_kernel": 5,
    "channels": (8, 12),
    "kernels": (3, 7),
    "dropouts": (0.1, 0.0),
    "last_channels": (12, 16),
    "last_kernel": 5,
    "last_dropout": 0.1,
}
FAMILIES: dict[str, ModelConfig] = {
    "conformer": ConformerConfig(size=24, layers=3, heads=3, kernel=5, stem_channels=4),
    "conformer squeezed": ConformerConfig(size=16, layers=4, heads=2, kernel=3, stem_channels=4, squeeze=(2, 3)),
    "conformer chunked": ConformerConfig(
        size=16, layers=3, heads=2, kernel=5, stem_channels=4, chunk_frames=3, left_chunks=1, causal=True
    ),
    "conformer squeezed chunked": ConformerConfig(
        size=16, layers=3, heads=1, kernel=3, stem_strides=(3,), stem_channels=4, squeeze=(1, 2), chunk_frames=4
    ),
    "jasper": JasperConfig(**SHORT, each=2, units=2),
    "jasper by layer": JasperConfig(**SHORT, each=1, units=3, norm="layer", stem_strides=(2, 2)),
    "quartznet": QuartzNetConfig(**SHORT, each=2, units=2),
    "quartznet by layer": QuartzNetConfig(**SHORT, each=1, units=1, norm="layer", stem_strides=(1, 3)),
}
FRAMES = [1, 2, 3, 7, 40, 41, 100]


def scrambled(module: Module, seed: int = 0) -> Module:
    """With random values in every parameter, also where fresh ones are zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        for part in module.modules():
            if isinstance(part, MaskedBatchNorm):
                part.running_mean.copy_(torch.randn(part.running_mean.shape, generator=generator) * 0.2)
                part.running_var.copy_(torch.rand(part.running_var.shape, generator=generator) + 0.5)
    return module


def encoder(name: str) -> nn.Module:
    return scrambled(build_encoder(FEATURES, 9, FAMILIES[name]))


@pytest.mark.parametrize("name", FAMILIES)
def test_alone_or_in_a_batch_same_logits(name: str) -> None:
    model = encoder(name).eval()
    generator = torch.Generator().manual_seed(1)
    recordings = [torch.randn(count, 23, generator=generator) for count in FRAMES]
    batch = torch.zeros(len(FRAMES), max(FRAMES) + 13, 23)
    for row, recording in enumerate(recordings):
        batch[row, : len(recording)] = recording
    with torch.inference_mode():
        together, frames = model(batch, torch.tensor(FRAMES))
        assert torch.equal(frames, model.frames(torch.tensor(FRAMES)))
        assert together.isfinite().all()
        for row, recording in enumerate(recordings):
            alone, count = model(recording[None], torch.tensor([len(recording)]))
            assert int(frames[row]) == int(count[0]) == alone.shape[1]
            torch.testing.assert_close(together[row, : len(alone[0])], alone[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_gradient_reaches_every_parameter_and_padding_none(name: str) -> None:
    model = encoder(name).train()
    batch = torch.randn(2, 60, 23, generator=torch.Generator().manual_seed(3)).requires_grad_()
    torch.manual_seed(0)
    logits, frames = model(batch, torch.tensor([60, 21]))
    inside = torch.arange(logits.shape[1]) < frames[:, None]
    logits[inside].square().sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name
    assert batch.grad is not None
    assert batch.grad[1, :21].abs().sum() > 0
    # The stem may see a frame of padding beyond the end, where the features are zero by contract.
    assert not batch.grad[1, 24:].any()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_graph_is_the_model_at_lengths_that_were_not_traced(name: str, tmp_path: Path) -> None:
    model = AcousticModel(FEATURES, FAMILIES[name], 9)
    scrambled(model.encoder).eval()
    assert export_onnx(model, tmp_path / "model.onnx") < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(7)
    for sizes in ([2], [31, 1], [12_345, 399, 400, 401, 8000, 77, 5]):
        samples = 0.3 * torch.randn(len(sizes), max(sizes), generator=generator)
        with torch.inference_mode():
            expected, frames = model(samples, torch.tensor(sizes))
        assert torch.equal(frames, model.frames(torch.tensor(sizes)))
        found, found_frames = session.run(None, {"samples": samples.numpy(), "lengths": np.array(sizes)})
        np.testing.assert_array_equal(found_frames, frames.numpy())
        for row, count in enumerate(found_frames):
            np.testing.assert_allclose(found[row, :count], expected[row, :count].numpy(), atol=2e-4)


RECURRENT: dict[str, ModelConfig] = {
    "rescnn-bigru": ResCnnBiGruConfig(channels=4, blocks=2, rnn_layers=2, rnn_size=8),
    "rescnn-bigru 1d": ResCnnBiGruConfig(convolution="1d", channels=8, blocks=2, rnn_layers=2, rnn_size=8),
    "rescnn-gru-stream": ResCnnGruStreamConfig(channels=8, blocks=2, rnn_layers=2, rnn_size=8),
}


@pytest.mark.parametrize("name", [*FAMILIES, *RECURRENT])
def test_checkpointed_gradients_are_the_gradients(name: str) -> None:
    """With dropout, which has to fall on the same places when a block runs again."""
    sizes = {**FAMILIES, **RECURRENT}[name]
    more = {"dropouts": (0.3, 0.3)} if isinstance(sizes, JasperConfig | QuartzNetConfig) else {"dropout": 0.3}
    config = sizes.model_copy(update=more)
    batch, frames = torch.randn(2, 40, 23, generator=torch.Generator().manual_seed(3)), torch.tensor([40, 21])
    gradients = []
    for checkpointed in (False, True):
        chosen = config.model_copy(update={"checkpoint_gradients": checkpointed})
        model = scrambled(build_encoder(FEATURES, 9, chosen)).train()
        torch.manual_seed(5)
        model(batch, frames)[0].square().sum().backward()
        found = {parameter: p.grad for parameter, p in model.named_parameters()}
        gradients.append({**found, **statistics(model)})
    for parameter, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][parameter], gradient, rtol=1e-4, atol=1e-4, msg=parameter)
