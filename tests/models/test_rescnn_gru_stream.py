"""The streaming model sees ahead what it says it does and no further, and a stream through it is the whole."""

import pytest
import torch

from steno.errors import RecipeError
from steno.features.config import FeatureConfig
from steno.models.config import ResCnnGruStreamConfig
from steno.models.registry import AcousticModel
from steno.models.rescnn_gru_stream import ResCnnGruStream
from steno.models.stepping import Clock
from steno.training.recipe import load_recipe

SMALL = {"channels": 8, "rnn_size": 12, "dropout": 0.0}
SIZES = {
    "80 ms": ResCnnGruStreamConfig(lookahead_ms=80, blocks=1, rnn_layers=1, **SMALL),
    "320 ms": ResCnnGruStreamConfig(lookahead_ms=320, blocks=2, rnn_layers=3, **SMALL),
    "640 ms": ResCnnGruStreamConfig(lookahead_ms=640, blocks=1, rnn_layers=2, **SMALL),
    "no blocks": ResCnnGruStreamConfig(blocks=0, rnn_layers=1, stem_strides=(3,), **SMALL),
    "even kernel, odd strides": ResCnnGruStreamConfig(
        blocks=1, kernel=4, rnn_layers=2, stem_strides=(2, 1, 3), **SMALL
    ),
}
FEATURES, LABELS = 7, 5


def scrambled(config: ResCnnGruStreamConfig) -> ResCnnGruStream:
    """With random values in every parameter."""
    model = ResCnnGruStream(FEATURES, LABELS, config, 0.01).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def features(frames: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(1, frames, FEATURES, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("milliseconds", [80, 120, 320, 333.3, 640])
@pytest.mark.parametrize("strides", [(2, 2), (3,), (2, 1, 2), (1,)])
def test_the_plan_uses_the_budget_and_no_more(milliseconds: float, strides: tuple[int, ...]) -> None:
    config = ResCnnGruStreamConfig(lookahead_ms=milliseconds, stem_strides=strides, blocks=2, rnn_layers=3)
    plan = config.plan(0.01)
    assert len(plan.convolutions) == 4
    assert len(plan.rnns) == 3
    assert max(plan.convolutions) <= 2
    assert config.lookahead_seconds(0.01) <= milliseconds / 1000
    assert config.lookahead_seconds(0.01) + 0.01 * config.subsampling > milliseconds / 1000


def test_the_look_ahead_is_stated() -> None:
    stated = {ms: ResCnnGruStreamConfig(lookahead_ms=ms).lookahead_seconds(0.01) for ms in (80, 320, 640)}
    assert stated == pytest.approx({80: 0.07, 320: 0.31, 640: 0.63})


@pytest.mark.parametrize("name", SIZES)
def test_nothing_beyond_the_look_ahead_changes_a_frame_and_what_is_within_does(name: str) -> None:
    config = SIZES[name]
    model, ahead = scrambled(config).double(), round(config.lookahead_seconds(0.01) / 0.01)
    frames_b = torch.tensor([150])
    x_btf = features(150).double()
    with torch.inference_mode():
        before, _ = model(x_btf, frames_b)
        for output in (0, 3, 9):
            last = output * config.subsampling + ahead
            for changed, differs in ((last, True), (last + 1, False)):
                y_btf = x_btf.clone()
                y_btf[0, changed] += 5.0
                after, _ = model(y_btf, frames_b)
                assert torch.equal(before[0, output], after[0, output]) != differs


@pytest.mark.parametrize("name", SIZES)
def test_alone_or_in_a_batch_same_logits(name: str) -> None:
    model = scrambled(SIZES[name])
    counts = [1, 2, 7, 40, 41, 100]
    recordings = [features(count, count)[0] for count in counts]
    batch = torch.full((len(counts), max(counts) + 13, FEATURES), 9.0)
    for row, recording in zip(batch, recordings, strict=True):
        row[: len(recording)] = recording
        row[len(recording) :] = 0  # as the front-end leaves it
    with torch.inference_mode():
        logits, frames_b = model(batch, torch.tensor(counts))
        assert torch.equal(frames_b, model.frames(torch.tensor(counts)))
        for recording, row, frames in zip(recordings, logits, frames_b.tolist(), strict=True):
            alone, count_b = model(recording[None], torch.tensor([len(recording)]))
            assert count_b.tolist() == [frames] == [-(-len(recording) // model.config.subsampling)]
            torch.testing.assert_close(row[:frames], alone[0], rtol=1e-5, atol=1e-5)


class Shelf:
    """A stream's memory as a list of pieces."""

    def __init__(self, pieces: list[torch.Tensor]) -> None:
        self._old, self.new = iter(pieces), []
        self.fresh = not pieces

    def take(self, channels: int, frames: int) -> torch.Tensor:
        return torch.zeros(1, channels, frames) if self.fresh else next(self._old)

    def keep(self, piece: torch.Tensor) -> None:
        self.new.append(piece)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("outputs", [1, 3, 8])
def test_steps_are_the_whole_some_frames_later(name: str, outputs: int) -> None:
    model, total = scrambled(SIZES[name]), 61
    sub = model.config.subsampling
    count = -(-total // sub)
    steps = -(-(count + model.delay) // outputs)
    padded = torch.cat([features(total), torch.zeros(1, steps * outputs * sub - total, FEATURES)], dim=1)
    stream, pieces, found = model.to_stream(), [], []
    with torch.inference_mode():
        expected, _ = model(features(total), torch.tensor([total]))
        for number in range(steps):
            shelf = Shelf(pieces)
            clock = Clock(torch.tensor([number * outputs]), torch.tensor([total]), sub)
            found.append(stream.step(padded[:, number * outputs * sub : (number + 1) * outputs * sub], clock, shelf))
            pieces = shelf.new
    got = torch.cat(found, dim=1)[:, model.delay : model.delay + count]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_every_parameter_learns() -> None:
    model = scrambled(SIZES["320 ms"]).train()
    logits, _ = model(features(80), torch.tensor([80]))
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_look_ahead_shorter_than_a_frame_is_refused() -> None:
    config = ResCnnGruStreamConfig(lookahead_ms=80, stem_strides=(4, 4))
    with pytest.raises(ValueError, match="80 is shorter than an output frame, 160 ms"):
        config.plan(0.01)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("features.normalize=utterance", "set features.normalize to corpus"),
        ("features.kind=mfcc", "features.log_mels to true"),
        ("model.lookahead_ms=70", "lookahead_ms"),
        ("model.stem_strides=[4, 10]", "shorter than an output frame"),
    ],
)
def test_a_recipe_that_cannot_stream_is_refused_when_it_is_read(override: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe("recipes/demo-stream.yaml", [override])


def test_a_conformer_for_streams_is_held_to_the_same() -> None:
    with pytest.raises(RecipeError, match="conformer hears a stream"):
        load_recipe("recipes/librispeech-6h-chunked.yaml", ["features.normalize=utterance"])
    load_recipe("recipes/librispeech-6h-chunked.yaml", ["features.normalize=utterance", "model.causal=false"])


def test_masks_and_statistics_are_those_of_the_others() -> None:
    model = AcousticModel(FeatureConfig(n_mels=16), SIZES["80 ms"], LABELS)
    log_probs, frames_b = model(torch.randn(2, 4000), torch.tensor([4000, 1000]))
    assert log_probs.shape == (2, 7, LABELS)
    assert frames_b.tolist() == model.frames(torch.tensor([4000, 1000])).tolist() == [7, 2]
