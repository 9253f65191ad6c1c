"""The front-end against a direct DFT in float64, in batches, and in a stream."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steno.features.config import FeatureConfig
from steno.features.frontend import LOG_OFFSET, FrontEnd, FrontEndStream
from steno.features.mel import dct, hann, mel_bank

CONFIGS = {
    "spectrogram": FeatureConfig(kind="spectrogram"),
    "amplitude": FeatureConfig(kind="spectrogram", power=1.0, n_fft=256, win_length=200, hop_length=100),
    "mel": FeatureConfig(kind="mel"),
    "slaney": FeatureConfig(kind="mel", n_fft=512, win_length=400, mel_scale="slaney", norm="slaney", f_min=60),
    "log-mel": FeatureConfig(kind="log-mel", n_mels=40, f_max=7000),
    "mfcc": FeatureConfig(kind="mfcc", n_mfcc=20, n_mels=40),
    "mfcc, no top_db": FeatureConfig(kind="mfcc", n_mfcc=20, n_mels=40, top_db=None),
    "mfcc, log mels": FeatureConfig(kind="mfcc", n_mfcc=20, n_mels=40, log_mels=True),
    "by utterance": FeatureConfig(kind="log-mel", n_mels=40, normalize="utterance"),
    "odd": FeatureConfig(kind="spectrogram", n_fft=161, hop_length=53),
    "gaps": FeatureConfig(kind="log-mel", n_fft=64, hop_length=200, n_mels=8),
}
STREAMS = [name for name in CONFIGS if name not in ("mfcc", "by utterance")]


def signal(length: int, seed: int = 0) -> np.ndarray:
    """Two tones, one of them rising, in noise (N,)."""
    time = np.arange(length) / 16_000
    noise = 0.05 * np.random.default_rng(seed).standard_normal(length)
    tones = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * (900 + 4000 * time) * time)
    return (tones + noise).astype(np.float32)


def reference(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """The features (T, F) as their definitions have them: one DFT a frame, in float64."""
    pad = config.n_fft // 2
    padded = np.pad(samples.astype(np.float64), pad, mode="reflect")
    starts = range(0, len(padded) - config.n_fft + 1, config.hop_length)
    window = hann(config.window, config.n_fft)
    power = np.stack([np.abs(np.fft.rfft(padded[s : s + config.n_fft] * window)) ** config.power for s in starts])
    if config.kind == "spectrogram":
        return power
    bank = mel_bank(
        config.n_fft,
        config.sample_rate,
        config.n_mels,
        config.f_min,
        config.highest,
        config.mel_scale,
        config.norm is not None,
    )
    mel = power @ bank
    if config.kind == "mel":
        return mel
    if config.kind == "log-mel":
        logs = np.log(mel + LOG_OFFSET)
        if config.normalize == "utterance":
            logs = (logs - logs.mean(axis=0)) / np.sqrt(logs.var(axis=0) + 0.01)
        return logs
    if config.log_mels:
        logs = np.log(mel + LOG_OFFSET)
    else:
        logs = 10 * np.log10(np.maximum(mel, 1e-10))
        if config.top_db is not None:
            logs = np.maximum(logs, logs.max() - config.top_db)
    return logs @ dct(config.n_mfcc, config.n_mels)


def features(frontend: FrontEnd, samples: np.ndarray) -> torch.Tensor:
    found, frames = frontend(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
    assert found.shape == (1, int(frames[0]), frontend.config.size)
    return found[0]


def whole_and_streamed(
    config: FeatureConfig, samples: np.ndarray, cuts: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    frontend = FrontEnd(config).eval()
    stream = FrontEndStream(frontend)
    bounds = [0, *sorted(cuts), len(samples)]
    pieces = [stream.accept(torch.from_numpy(samples[a:b])) for a, b in pairwise(bounds)]
    return features(frontend, samples), torch.cat([*pieces, stream.finish()])


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("length", [8000, 8001, 12_345])
@pytest.mark.parametrize("training", [False, True])
def test_equals_a_direct_dft(name: str, length: int, training: bool) -> None:
    samples = signal(length)
    expected = reference(samples, CONFIGS[name])
    found = features(FrontEnd(CONFIGS[name]).train(training), samples).numpy()
    assert found.shape == expected.shape
    np.testing.assert_array_less(
        np.abs(found - expected), 1e-4 * np.abs(expected) + 1e-5 * np.abs(expected).max() + 1e-12
    )


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("training", [False, True])
def test_a_batch_gives_each_utterance_what_it_gets_alone(name: str, training: bool) -> None:
    frontend = FrontEnd(CONFIGS[name]).train(training)
    lengths = [1, 2, 50, 333, 5000, 7999]
    recordings = [signal(length, seed) for seed, length in enumerate(lengths)]
    # What lies beyond an utterance's end is not silence here: it must not be read.
    samples = torch.full((len(lengths), 9000), 7.0)
    for row, recording in enumerate(recordings):
        samples[row, : len(recording)] = torch.from_numpy(recording)
    together, frames = frontend(samples, torch.tensor(lengths))
    for row, recording in enumerate(recordings):
        alone = features(frontend, recording)
        assert int(frames[row]) == len(alone)
        torch.testing.assert_close(together[row, : len(alone)], alone, rtol=1e-4, atol=1e-4)
        assert not together[row, len(alone) :].any()


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 3000), data=st.data())
def test_a_stream_gives_the_frames_of_the_file(name: str, length: int, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, length), max_size=12))
    whole, streamed = whole_and_streamed(CONFIGS[name], signal(length), cuts)
    assert streamed.shape == whole.shape
    torch.testing.assert_close(streamed, whole, rtol=1e-4, atol=1e-4)


def test_a_stream_of_single_samples_and_an_empty_one() -> None:
    whole, streamed = whole_and_streamed(CONFIGS["log-mel"], signal(900), list(range(900)))
    torch.testing.assert_close(streamed, whole, rtol=1e-4, atol=1e-4)
    empty = FrontEndStream(FrontEnd(CONFIGS["log-mel"]))
    assert empty.accept(torch.zeros(0)).shape == (0, 40)
    assert empty.finish().shape == (0, 40)


def test_frames_of_a_stream_come_as_soon_as_their_window_is_heard() -> None:
    stream = FrontEndStream(FrontEnd(FeatureConfig()))
    frames = [len(stream.accept(torch.zeros(160))) for _ in range(100)]
    assert sum(frames) >= 100 - 3  # half a window of 200 samples is 1.25 hops


@pytest.mark.parametrize("name", ["mfcc", "by utterance"])
def test_what_needs_the_whole_utterance_cannot_be_streamed(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be streamed"):
        FrontEndStream(FrontEnd(CONFIGS[name]))


def test_top_db_holds_each_utterance_to_its_own_loudest_frame() -> None:
    frontend = FrontEnd(CONFIGS["mfcc"])
    quiet = 1e-4 * signal(4000)
    alone = features(frontend, quiet)
    together, _ = frontend(torch.from_numpy(np.stack([quiet, signal(4000)])), torch.tensor([4000, 4000]))
    torch.testing.assert_close(together[0], alone, rtol=1e-4, atol=1e-3)


def test_normalisation_by_corpus_statistics() -> None:
    frontend = FrontEnd(CONFIGS["log-mel"])
    samples = signal(8000)
    plain = features(frontend, samples)
    frontend.set_statistics(plain.mean(dim=0), plain.std(dim=0, correction=0))
    normalised = features(frontend, samples)
    torch.testing.assert_close(normalised.mean(dim=0), torch.zeros(40), rtol=0, atol=1e-4)
    torch.testing.assert_close(normalised.std(dim=0, correction=0), torch.ones(40), rtol=1e-4, atol=1e-4)
    assert {"mean", "std"} <= set(frontend.state_dict())


def test_a_feature_that_never_varies_stays_finite() -> None:
    frontend = FrontEnd(CONFIGS["log-mel"])
    frontend.set_statistics(torch.zeros(40), torch.zeros(40))
    assert features(frontend, signal(4000)).isfinite().all()


@pytest.mark.parametrize("kind", ["mfcc", "log-mel", "mel", "spectrogram"])
def test_digital_silence_is_finite(kind: str) -> None:
    assert features(FrontEnd(FeatureConfig(kind=kind)), np.zeros(1600, np.float32)).isfinite().all()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"win_length": 500}, "win_length 500"),
        ({"f_max": 9000}, "f_max 9000"),
        ({"f_min": 300, "f_max": 200}, "f_max 200"),
        ({"kind": "mfcc", "n_mfcc": 81}, "n_mfcc 81"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        FeatureConfig.model_validate(wrong)
