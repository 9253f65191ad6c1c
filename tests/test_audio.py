"""Recordings of any rate, channel count and container become 16 kHz mono; what cannot be read is named."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from steno import audio
from steno.errors import AudioError
from steno.fragments import Part, part_of


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


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("a.wav", Part(Path("a.wav"))),
        ("x/a.wav#t=1.5,2", Part(Path("x/a.wav"), 1.5, 2.0)),
        ("a.wav#t=3", Part(Path("a.wav"), 3.0)),
        ("a.wav#channel=1", Part(Path("a.wav"), channel=1)),
        ("a#b.wav#t=0,0.25&channel=0", Part(Path("a#b.wav"), 0.0, 0.25, 0)),
        ("take#3.wav", Part(Path("take#3.wav"))),
        ("a.wav#t=x", Part(Path("a.wav#t=x"))),
        ("a.wav#", Part(Path("a.wav#"))),
    ],
)
def test_paths_of_parts(path: str, part: Part) -> None:
    assert part_of(path) == part
    assert part.path == Path(path)
    assert part.is_whole == (str(part.recording) == path)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".opus"])
def test_a_part_is_what_lies_between_its_times(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    rng = np.random.default_rng(3)
    samples = np.convolve(rng.normal(0, 0.1, 4 * 16_000), np.ones(8) / 8, "same")
    soundfile.write(path, samples, 16_000, **({"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}))
    whole = audio.load(path)
    part = audio.load(f"{path}#t=1.25,2.5")
    assert len(part) == 1.25 * 16_000
    np.testing.assert_allclose(part, whole[20_000:40_000], atol=0.02 if suffix == ".opus" else 1e-6)
    assert audio.duration(f"{path}#t=1.25,2.5") == 1.25
    np.testing.assert_allclose(np.concatenate(list(audio.blocks(f"{path}#t=1.25,2.5", seconds=0.3))), part, atol=1e-6)
    rest = audio.load(f"{path}#t=3")
    assert len(rest) == pytest.approx(16_000, abs=1200)
    assert audio.duration(f"{path}#t=3") == pytest.approx(len(rest) / 16_000)


def test_a_part_of_another_rate_and_one_channel(tmp_path: Path) -> None:
    two = np.stack([tone(44_100, 2.0), tone(44_100, 2.0, 1000.0)], axis=1)
    soundfile.write(tmp_path / "two.wav", two, 44_100)
    part = audio.load(tmp_path / "two.wav#t=0.5,1.5&channel=1")
    assert len(part) == 16_000
    spectrum = np.abs(np.fft.rfft(part))
    assert np.fft.rfftfreq(len(part), 1 / 16_000)[spectrum.argmax()] == 1000
    for read in (audio.load, audio.duration, lambda source: list(audio.blocks(source))):
        with pytest.raises(AudioError, match=r"two\.wav#channel=2: the recording has channels 0 to 1"):
            read(tmp_path / "two.wav#channel=2")
        for times in ("2.5,3", "1.5,2.6"):
            with pytest.raises(AudioError, match=rf"two\.wav#t={times}: the recording ends at 2\.00 s"):
                read(tmp_path / f"two.wav#t={times}")
        with pytest.raises(AudioError, match="no such file"):
            read(tmp_path / "none.wav#t=0,1")
    assert len(audio.load(tmp_path / "two.wav#t=1.5,2.4")) == 8000  # times are rounded
