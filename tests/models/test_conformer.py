"""The conformer by itself: its size, its taps, its chunks, what is random in training, and rotary positions."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from steno.features.config import FeatureConfig
from steno.models.config import ConformerConfig
from steno.models.conformer import Conformer, _attended, _rotations, _turned
from steno.models.layers import Dropout
from steno.models.registry import AcousticModel

SMALL = ConformerConfig(size=16, layers=4, heads=2, kernel=3, stem_channels=4)


def built(**changes: object) -> Conformer:
    torch.manual_seed(0)
    return Conformer(20, 7, SMALL.model_copy(update=changes)).eval()


def batch(time: int = 60) -> tuple[Tensor, Tensor]:
    return torch.randn(1, time, 20, generator=torch.Generator().manual_seed(1)), torch.tensor([time])


@pytest.mark.parametrize("squeeze", [None, (2, 3)])
def test_the_number_of_parameters_is_that_of_the_drawing(squeeze: tuple[int, int] | None) -> None:
    c = ConformerConfig(size=24, layers=3, heads=3, kernel=7, feed_forward=4, stem_channels=5, squeeze=squeeze)
    d, labels = c.size, 29
    stem = (9 * 5 + 5) + (25 * 9 + 5) + 5 * 20 * d + d
    feed_forward = 2 * d + (d * 4 * d + 4 * d) + (4 * d * d + d)
    attention = 2 * d + (3 * d * d + 3 * d) + (d * d + d)
    convolution = 2 * d + (2 * d * d + 2 * d) + (7 * d + d) + 2 * d + (d * d + d)
    block = 2 * feed_forward + attention + convolution + 2 * d
    count = stem + 3 * block + 2 * d + (d * labels + labels)
    assert sum(p.numel() for p in Conformer(80, labels, c).parameters()) == count


def test_positions_are_relative() -> None:
    """What a query finds in a key depends on their distance alone."""
    turns = _rotations(30, 8, torch.device("cpu"))
    query, key = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    turned = (_turned(one.expand(1, 30, 1, 8), *turns)[0, :, 0] for one in (query, key))
    found = next(turned) @ next(turned).mT
    for distance in (-7, 0, 3):
        diagonal = torch.diagonal(found, distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(torch.diagonal(found, 3)[0], torch.diagonal(found, 4)[0])


def test_attention_in_bf16_is_that_in_float() -> None:
    torch.manual_seed(3)
    query, key, value = torch.randn(3, 2, 4, 20, 8).unbind()
    heard = torch.arange(20) < torch.tensor([20, 13])[:, None, None, None]
    exact = _attended(query, key, value, heard)
    rough = _attended(query.bfloat16(), key.bfloat16(), value.bfloat16(), heard)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, rtol=0, atol=0.03)
    beyond = value.masked_fill(~heard.mT, 99)
    torch.testing.assert_close(_attended(query.bfloat16(), key.bfloat16(), beyond.bfloat16(), heard), rough)


# ---- taps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("squeeze", [None, (2, 3), (1, 4)])
def test_taps_have_the_full_rate_and_change_nothing(squeeze: tuple[int, int] | None) -> None:
    model = built(intermediate=(1, 2, 3), squeeze=squeeze)
    features, frames = batch(57)
    taps: list[Tensor] = []
    with torch.inference_mode():
        logits, count = model(features, frames, taps)
        plain, _ = model(features, frames)
    assert len(taps) == 3
    assert all(tap.shape == logits.shape == (1, int(count[0]), 7) for tap in taps)
    assert torch.equal(logits, plain)
    assert all(not torch.equal(tap, logits) for tap in taps)


def test_log_probabilities_of_the_intermediate_layers_come_first() -> None:
    model = AcousticModel(FeatureConfig(n_mels=20), SMALL.model_copy(update={"intermediate": (2,)}), 7).eval()
    samples, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    with torch.inference_mode():
        together, frames = model(samples, lengths, intermediate=True)
        final, _ = model(samples, lengths)
    layers = model.heads(together).labels_lbtv
    assert layers.shape == (2, *final.shape)
    assert torch.equal(layers[-1], final)
    torch.testing.assert_close(layers.exp().sum(dim=-1), torch.ones(layers.shape[:-1]))
    assert torch.equal(frames, model.frames(lengths))


# ---- what is random --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"dropout": 0.5}, {"dropout": 0.0, "layer_drop": 0.9}])
def test_dropout_and_skipped_blocks_are_for_training_only(change: dict[str, float]) -> None:
    model = built(**change)
    features, frames = batch()
    with torch.no_grad():
        assert torch.equal(model(features, frames)[0], model(features, frames)[0])
        model.train()
        torch.manual_seed(0)
        assert len({float(model(features, frames)[0].sum()) for _ in range(8)}) > 1


def test_no_block_is_skipped_without_layer_drop() -> None:
    model = built(dropout=0.0)
    features, frames = batch()
    with torch.no_grad():
        assert torch.equal(model.train()(features, frames)[0], model.eval()(features, frames)[0])


def test_later_blocks_are_skipped_more_often() -> None:
    model = built(layer_drop=0.8, dropout=0.0).train()
    torch.manual_seed(0)
    shares = [sum(model._skipped(number) for _ in range(2000)) / 2000 for number in (1, 2, 3, 4)]
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8], abs=0.04)


@pytest.mark.parametrize("chance", [0.1, 0.5])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_keeps_the_mean(chance: float, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    dropout = Dropout(chance)
    out = dropout(torch.ones(301, 333, dtype=kind))
    assert out.dtype == kind
    assert float((out == 0).float().mean()) == pytest.approx(round(256 * chance) / 256, abs=0.01)
    assert float(out.float().mean()) == pytest.approx(1, abs=0.02)
    assert len(out.unique()) == 2
    rows = (out == 0).float()
    assert float((rows[:, 1:] * rows[:, :-1]).mean()) == pytest.approx(chance**2, abs=0.01)  # neighbours independent


def test_dropout_passes_the_gradient_where_it_kept() -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    out = Dropout(0.5)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach())
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(0.5).eval()(x), x)


# ---- chunks ----------------------------------------------------------------------------------------------------


def reach(model: nn.Module, frame: int, time: int = 96) -> tuple[int, int]:
    """The first and the last feature frame that an output frame depends on."""
    features, frames = batch(time)
    features.requires_grad_()
    model(features, frames)[0][0, frame].sum().backward()
    assert features.grad is not None
    seen = torch.nonzero(features.grad[0].abs().sum(dim=-1)).flatten().tolist()
    return seen[0], seen[-1]


@pytest.mark.parametrize(
    ("change", "chunk"),
    [({"chunk_frames": 4}, 4), ({"chunk_frames": 6, "squeeze": (2, 3)}, 6), ({"chunk_frames": 1}, 1)],
)
def test_the_look_ahead_is_the_one_that_is_stated(change: dict[str, object], chunk: int) -> None:
    config = SMALL.model_copy(update={**change, "causal": True})
    assert not config.streamable  # what it keeps has no bound
    assert config.model_copy(update={"left_chunks": 3}).streamable
    model = built(**change, causal=True)
    stated = config.lookahead_seconds(0.01)
    first = 2 * chunk  # the first output frame of a chunk, in the middle of the utterance
    assert (reach(model, first)[1] - 4 * first) * 0.01 == pytest.approx(stated)
    assert stated == pytest.approx((4 * (chunk - 1) + 3) * 0.01)
    # Within a chunk all frames see the same end.
    assert reach(model, first + chunk - 1)[1] == reach(model, first)[1]


def test_left_chunks_bound_what_is_remembered() -> None:
    all_before = built(chunk_frames=2, causal=True, layers=1, kernel=3)
    bounded = built(chunk_frames=2, causal=True, layers=1, kernel=3, left_chunks=1)
    assert reach(all_before, 20)[0] == 0
    assert reach(bounded, 20)[0] > 4 * 14


def test_without_both_the_whole_utterance_is_needed() -> None:
    for change in ({}, {"chunk_frames": 4}, {"causal": True}):
        config = SMALL.model_copy(update=change)
        assert not config.streamable
        with pytest.raises(ValueError, match="needs the whole utterance"):
            config.lookahead_seconds(0.01)
    assert reach(built(causal=True), 2)[1] > 90
    assert reach(built(chunk_frames=4), 2)[1] > 15 + 4  # the convolutions reach from chunk to chunk


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 10, "heads": 3}, "not a multiple of twice the heads"),
        ({"kernel": 4}, "kernel 4 is even"),
        ({"squeeze": (3, 2)}, "squeeze"),
        ({"squeeze": (1, 11)}, "squeeze"),
        ({"intermediate": (10,)}, "each is a block from 1 to 9"),
        ({"left_chunks": 2}, "chunk_frames is absent"),
        ({"squeeze": (2, 3), "chunk_frames": 5}, "chunk_frames 5 is odd"),
        ({"layer_drop": 1.0}, "layer_drop"),
    ],
)
def test_sizes_that_cannot_be(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ConformerConfig.model_validate(change)
