"""The model treats each utterance of a batch as if it were alone and learns in every parameter."""

from math import ceil
from typing import TypeVar

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from steno.features.config import FeatureConfig, MaskConfig
from steno.models.config import ResCnnBiGruConfig
from steno.models.layers import BiGru
from steno.models.registry import AcousticModel
from steno.models.rescnn_bigru import ResCnnBiGru

Module = TypeVar("Module", bound=nn.Module)

SIZES = {
    "small": ResCnnBiGruConfig(channels=4, blocks=1, rnn_layers=1, rnn_size=16),
    "deep": ResCnnBiGruConfig(channels=6, stem_strides=(2, 1, 2), blocks=3, rnn_layers=3, rnn_size=24),
    "wide kernel": ResCnnBiGruConfig(channels=5, stem_strides=(3,), blocks=2, kernel=5, rnn_layers=2, rnn_size=20),
    "even kernel": ResCnnBiGruConfig(channels=4, stem_strides=(2,), blocks=1, kernel=4, rnn_layers=1, rnn_size=16),
    "1d": ResCnnBiGruConfig(convolution="1d", channels=12, stem_strides=(2, 2), blocks=2, rnn_layers=2, rnn_size=16),
    "1d no blocks": ResCnnBiGruConfig(convolution="1d", channels=8, stem_strides=(3, 1), blocks=0, rnn_layers=1),
    "no blocks": ResCnnBiGruConfig(channels=8, stem_strides=(1,), blocks=0, rnn_layers=1, rnn_size=12),
}
FRAMES = [1, 2, 3, 7, 40, 41, 100]


def scrambled(module: Module, seed: int = 0) -> Module:
    """With random values in every parameter, also where fresh ones are zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return module


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("features", [23, 40])
def test_alone_or_in_a_batch_same_logits(name: str, features: int) -> None:
    model = scrambled(ResCnnBiGru(features, 9, SIZES[name])).eval()
    generator = torch.Generator().manual_seed(1)
    recordings = [torch.randn(count, features, generator=generator) for count in FRAMES]
    batch = torch.zeros(len(FRAMES), max(FRAMES) + 13, features)
    for row, recording in enumerate(recordings):
        batch[row, : len(recording)] = recording
    with torch.inference_mode():
        together, frames = model(batch, torch.tensor(FRAMES))
        for row, recording in enumerate(recordings):
            alone, count = model(recording[None], torch.tensor([len(recording)]))
            assert int(frames[row]) == int(count[0]) == alone.shape[1]
            torch.testing.assert_close(together[row, : len(alone[0])], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_from_samples_alone_or_in_a_batch_same_log_probabilities(name: str) -> None:
    model = scrambled(AcousticModel(FeatureConfig(n_mels=24), SIZES[name], 9)).eval()
    generator = torch.Generator().manual_seed(2)
    lengths = [1, 159, 160, 161, 4000, 7777]
    samples = torch.zeros(len(lengths), 8000)
    for row, length in enumerate(lengths):
        samples[row, :length] = 0.1 * torch.randn(length, generator=generator)
    with torch.inference_mode():
        together, frames = model(samples, torch.tensor(lengths))
        assert torch.equal(frames, model.frames(torch.tensor(lengths)))
        for row, length in enumerate(lengths):
            alone, count = model(samples[row : row + 1, :length], torch.tensor([length]))
            assert alone.shape[1] == int(count[0]) == int(frames[row])
            torch.testing.assert_close(together[row, : int(count[0])], alone[0], rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(alone.exp().sum(dim=-1), torch.ones(1, int(count[0])))


@pytest.mark.parametrize("name", SIZES)
def test_frames_are_those_of_forward(name: str) -> None:
    model = ResCnnBiGru(16, 5, SIZES[name]).eval()
    for count in range(1, 20):
        with torch.inference_mode():
            logits, frames = model(torch.randn(1, count, 16), torch.tensor([count]))
        assert logits.shape == (1, int(frames[0]), 5)
        assert torch.equal(frames, model.frames(torch.tensor([count])))


def test_subsampling_is_the_product_of_the_strides() -> None:
    config = SIZES["deep"]
    assert config.subsampling == 4
    assert int(ResCnnBiGru(16, 5, config).frames(torch.tensor([400]))) == 100


@pytest.mark.parametrize("name", SIZES)
def test_the_gradient_reaches_every_parameter_and_padding_none(name: str) -> None:
    model = scrambled(ResCnnBiGru(23, 9, SIZES[name])).train()
    batch = torch.randn(2, 60, 23, generator=torch.Generator().manual_seed(3)).requires_grad_()
    logits, frames = model(batch, torch.tensor([60, 21]))
    inside = torch.arange(logits.shape[1]) < frames[:, None]
    logits[inside].square().sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name
    assert batch.grad is not None
    assert batch.grad[1, :21].abs().sum() > 0
    # The stem may see a frame of padding beyond the end, where the features are zero by contract.
    assert not batch.grad[1, 23:].any()


def test_dropout_works_in_training_and_is_off_in_evaluation() -> None:
    model = ResCnnBiGru(16, 5, SIZES["small"].model_copy(update={"dropout": 0.5}))
    batch, frames = torch.randn(2, 30, 16), torch.tensor([30, 30])
    assert not torch.equal(model(batch, frames)[0], model(batch, frames)[0])
    model.eval()
    assert torch.equal(model(batch, frames)[0], model(batch, frames)[0])


def _cnn_2d(c: ResCnnBiGruConfig, features: int) -> tuple[int, int]:
    count, inputs = 0, 1
    for _ in c.stem_strides:
        count += inputs * c.channels * 9 + c.channels
        inputs, features = c.channels, ceil(features / 2)
    count += c.blocks * 2 * (2 * features + c.channels**2 * c.kernel**2 + c.channels)
    return count, c.channels * features


def _cnn_1d(c: ResCnnBiGruConfig, features: int) -> tuple[int, int]:
    count, inputs = 0, features
    for _ in c.stem_strides:
        count += inputs * c.channels * 5 + c.channels + 2 * c.channels
        inputs = c.channels
    count += c.blocks * 2 * (2 * c.channels + c.channels**2 * c.kernel + c.channels)
    return count, c.channels


@pytest.mark.parametrize("name", SIZES)
def test_the_number_of_parameters_is_that_of_the_drawing(name: str) -> None:
    c, features, labels = SIZES[name], 40, 29
    cnn = _cnn_1d if c.convolution == "1d" else _cnn_2d
    count, out = cnn(c, features)
    size = 2 * c.rnn_size
    count += out * size + size
    one_direction = 3 * c.rnn_size * size + 3 * c.rnn_size * c.rnn_size + 6 * c.rnn_size
    count += c.rnn_layers * (2 * size + 2 * one_direction)
    count += 2 * size + (size * c.rnn_size + c.rnn_size) + (c.rnn_size * labels + labels)
    model = ResCnnBiGru(40, labels, c)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_bigru_is_torchs_bidirectional_gru_on_packed_sequences() -> None:
    ours = scrambled(BiGru(10, 7), seed=5)
    theirs = nn.GRU(10, 7, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            part = ours.backward_gru if name.endswith("_reverse") else ours.forward_gru
            parameter.copy_(part.get_parameter(name.removesuffix("_reverse")))
    frames = torch.tensor([3, 20, 1, 11])
    batch = torch.randn(4, 20, 10, generator=torch.Generator().manual_seed(6))
    packed = pack_padded_sequence(batch, frames, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    found = ours(batch, frames)
    for row, count in enumerate(frames.tolist()):
        torch.testing.assert_close(found[row, :count], expected[row, :count], rtol=1e-5, atol=1e-6)


def test_masks_reach_only_the_masked_model_and_change_it() -> None:
    model = scrambled(AcousticModel(FeatureConfig(n_mels=24), SIZES["small"], 9)).eval()
    samples, lengths = torch.randn(1, 8000), torch.tensor([8000])
    config = MaskConfig()
    uniform = torch.full((1, config.draws), 0.9)
    assert not torch.equal(model(samples, lengths)[0], model(samples, lengths, (config, uniform))[0])
