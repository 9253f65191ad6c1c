"""The front-end equals torchaudio's transforms on a recording of LibriSpeech."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from steno import audio
from steno.features.config import FeatureConfig
from steno.features.frontend import FrontEnd, FrontEndStream

ROOT = os.environ.get("STENO_LIBRISPEECH")
pytestmark = pytest.mark.skipif(ROOT is None, reason="STENO_LIBRISPEECH does not name a LibriSpeech folder")

CONFIGS = {
    "spectrogram_n400_hop160_power2": FeatureConfig(kind="spectrogram"),
    "melspectrogram_n400_hop160_mels80": FeatureConfig(kind="mel"),
    "melspectrogram_n512_win400_hop160_mels80_slaney": FeatureConfig(
        kind="mel", n_fft=512, win_length=400, mel_scale="slaney", norm="slaney"
    ),
    "mfcc40_n400_hop160_mels80": FeatureConfig(kind="mfcc", n_mfcc=40),
    "mfcc128_defaults": FeatureConfig(kind="mfcc", n_mfcc=128, n_mels=128, hop_length=200),
    "mfcc40_logmels_n400_hop160_mels80": FeatureConfig(kind="mfcc", n_mfcc=40, log_mels=True),
}


def golden() -> dict[str, np.ndarray]:
    """Torchaudio's arrays, each (features, frames)."""
    (path,) = (Path(str(ROOT)).parent.parent / "golden").glob("*.npz")
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def recording() -> torch.Tensor:
    return torch.from_numpy(audio.load(Path(str(ROOT)) / "test-clean/1089/134691/1089-134691-0000.flac"))


def test_every_array_has_its_settings_here() -> None:
    assert set(golden()) == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("training", [False, True])
def test_equals_torchaudio(name: str, training: bool) -> None:
    expected, samples = golden()[name].T, recording()
    assert len(samples) == 33_360
    found, frames = FrontEnd(CONFIGS[name]).train(training)(samples[None], torch.tensor([len(samples)]))
    assert found.shape == (1, *expected.shape)
    assert int(frames[0]) == len(expected)
    difference = np.abs(found[0].numpy() - expected)
    assert (difference <= 1e-4 * np.abs(expected) + 1e-5 * np.abs(expected).max()).all()


@pytest.mark.parametrize("name", [name for name in CONFIGS if CONFIGS[name].streamable])
@pytest.mark.parametrize("piece", [37, 512, 4000])
def test_a_stream_equals_torchaudio(name: str, piece: int) -> None:
    expected = golden()[name].T
    stream = FrontEndStream(FrontEnd(CONFIGS[name]).eval())
    pieces = [stream.accept(part) for part in recording().split(piece)]
    found = torch.cat([*pieces, stream.finish()]).numpy()
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= 1e-4 * np.abs(expected) + 1e-5 * np.abs(expected).max()).all()
