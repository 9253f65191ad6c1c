"""Recordings of any rate, channel count and container become 16 kHz mono; what cannot be read is named."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from steno import audio
from steno.errors import AudioError


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff", ".au", ".w64"])
def test_containers(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"tone{suffix}"
    soundfile.write(path, tone(16_000), 16_000)
    samples = audio.load(path)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(8000, abs=1200)
    assert audio.duration(path) == pytest.approx(len(samples) / 16_000)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.fft.rfftfreq(len(samples), 1 / 16_000)[spectrum.argmax()] == pytest.approx(440, abs=3)
    assert audio.is_audio(path)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_any_rate_becomes_the_asked_one(rate: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(rate), rate, subtype="FLOAT")
    samples = audio.load(tmp_path / "tone.wav")
    assert len(samples) == pytest.approx(8000, abs=1)
    expected = tone(16_000)
    np.testing.assert_allclose(samples[400:7600], expected[400:7600], atol=2e-3)
    assert len(audio.load(tmp_path / "tone.wav", 8000)) == pytest.approx(4000, abs=1)


def test_channels_are_averaged(tmp_path: Path) -> None:
    channels = np.stack([tone(16_000), -tone(16_000), 0.3 * tone(16_000)], axis=1)
    soundfile.write(tmp_path / "three.wav", channels, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(audio.load(tmp_path / "three.wav"), 0.1 * tone(16_000), atol=1e-6)


def test_bytes_and_open_files(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.flac", tone(16_000), 16_000)
    data = (tmp_path / "tone.flac").read_bytes()
    from_path = audio.load(str(tmp_path / "tone.flac"))
    np.testing.assert_array_equal(audio.load(data), from_path)
    np.testing.assert_array_equal(audio.load(io.BytesIO(data)), from_path)
    with (tmp_path / "tone.flac").open("rb") as file:
        np.testing.assert_array_equal(audio.load(file), from_path)


def broken(tmp_path: Path) -> dict[str, tuple[object, str]]:
    """Sources that cannot be read, each with what its error must say."""
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is not a recording")
    soundfile.write(tmp_path / "no-samples.wav", np.zeros(0, np.float32), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan, 0.2], np.float32), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "inf.wav", np.array([0.1, np.inf, 0.2], np.float32), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "one-sample.wav", np.ones(1, np.float32), 48_000)
    soundfile.write(tmp_path / "lies.flac", np.zeros(16_000, np.float32), 16_000)
    header = bytearray((tmp_path / "lies.flac").read_bytes())
    header[21] |= 0x0F  # the header's number of samples, 36 bits, all set: 256 GiB
    header[22:26] = b"\xff" * 4
    (tmp_path / "lies.flac").write_bytes(header)
    return {
        "missing": (tmp_path / "nowhere.wav", "no such file"),
        "folder": (tmp_path, "is a folder"),
        "empty": (tmp_path / "empty.wav", "is empty"),
        "text": (tmp_path / "text.wav", "cannot be decoded"),
        "no samples": (tmp_path / "no-samples.wav", "no samples"),
        "nan": (tmp_path / "nan.wav", "not numbers"),
        "infinity": (tmp_path / "inf.wav", "not numbers"),
        "one sample": (tmp_path / "one-sample.wav", "shorter than one sample"),
        "header": (tmp_path / "lies.flac", "cannot be decoded"),
        "name": (tmp_path / ("a" * 300 + ".wav"), "too long"),
        "null": (f"{tmp_path}/a\0b.wav", "no such file"),
        "no bytes": (b"", "0 bytes of audio"),
        "bytes": (b"nonsense", "8 bytes of audio"),
    }


KINDS = ["missing", "folder", "empty", "text", "no samples", "nan", "infinity", "one sample"]
KINDS += ["header", "name", "null", "no bytes", "bytes"]


@pytest.mark.parametrize("which", KINDS)
def test_what_cannot_be_read_is_named(which: str, tmp_path: Path) -> None:
    source, said = broken(tmp_path)[which]
    with pytest.raises(AudioError) as raised:
        audio.load(source)  # type: ignore[arg-type]
    assert said in raised.value.message
    assert audio.describe(source) in raised.value.message  # type: ignore[arg-type]


@pytest.mark.parametrize("which", ["missing", "folder", "empty", "text", "no samples", "name"])
def test_duration_names_it_too(which: str, tmp_path: Path) -> None:
    source, said = broken(tmp_path)[which]
    with pytest.raises(AudioError, match=said):
        audio.duration(str(source))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    with pytest.raises(AudioError, match="Permission denied"):
        audio.load(tmp_path / "shut" / "a.wav")


def test_is_audio_goes_by_the_ending() -> None:
    assert audio.is_audio(Path("A.FLAC"))
    assert not audio.is_audio(Path("a.txt"))
    assert not audio.is_audio(Path("flac"))
