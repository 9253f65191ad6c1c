"""The model that comes with Steno: what it may weigh, how it is found, and where it is used unasked."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from steno.decoding.options import DecodingOptions
from steno.runtime import Recognizer, bundled
from steno.runtime.folder import CARD, read_config, verified
from steno.runtime.streaming import advance
from steno.tracking.registry import resolve

SAID = "using small-en, the model that comes with Steno"


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Half a second in which nothing is said."""
    path = tmp_path / "noise.wav"
    soundfile.write(path, 0.001 * np.random.default_rng(0).standard_normal(8000), 16_000)
    return path


@pytest.mark.parametrize("name", bundled.names())
def test_each_is_small_whole_and_explained(name: str) -> None:
    folder = bundled.folder(name)
    assert folder is not None
    files = list(folder.iterdir())
    assert sum(path.stat().st_size for path in files) <= 20_000_000
    config = read_config(folder)
    assert config.name == name
    for file in config.files:
        verified(folder, config, file)
    assert {path.name for path in files} == {*config.files, "config.yaml", CARD}
    card = (folder / CARD).read_text(encoding="utf-8")
    for told in ("CC BY 4.0", "LibriSpeech", "WER", "## Limits", "Apache-2.0"):
        assert told in card


def test_the_default_is_there() -> None:
    assert bundled.DEFAULT in bundled.names()
    assert bundled.folder("nothing-like-it") is None
    assert bundled.folder("..") is None


def test_a_name_means_it_unless_there_is_a_folder_of_that_name(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve("small-en") == bundled.folder("small-en")
    (tmp_path / "small-en").symlink_to(model)
    assert resolve("small-en") == Path("small-en")


def test_it_decodes_with_its_language_model() -> None:
    recognizer = Recognizer(resolve("small-en"), threads=1)
    assert recognizer.decoding.method == "beam"
    assert recognizer.decoding.lm is not None
    assert recognizer.decoding.calibration.keys() >= {"beam"}


def test_transcribe_and_listen_use_it_unasked_and_say_so(steno: Callable, noise: Path) -> None:
    for command in (("transcribe", noise), ("listen", "--file", noise)):
        ran = steno(*command)
        assert ran.code == 0, ran.err
        assert ran.err.startswith(SAID)
        assert "using" not in ran.out
    ran = steno("transcribe", noise, "--model", "small-en")
    assert ran.code == 0, ran.err
    assert SAID not in ran.err


def test_without_the_library_of_beam_search_it_is_greedy_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from steno.cli import model as choosing

    found = importlib.util.find_spec
    monkeypatch.setattr(choosing, "find_spec", lambda name: None if name == "flashlight" else found(name))
    assert choosing.named_or_bundled(None, DecodingOptions()) == ("small-en", DecodingOptions(method="greedy"))
    # What was asked for is never left out in silence: beam search then fails for want of the library.
    asked = DecodingOptions(hotwords=("steno",))
    assert choosing.named_or_bundled(None, asked) == ("small-en", asked)
    assert choosing.named_or_bundled("other", DecodingOptions()) == ("other", DecodingOptions())


@pytest.mark.parametrize("threads", [1, 2])
def test_in_8_bits_no_recording_changes_another(threads: int) -> None:
    generator = np.random.default_rng(0)
    signals = [
        (level * generator.standard_normal(size)).astype(np.float32)
        for level, size in ((0.01, 16_000), (0.5, 15_000), (0.1, 32_000), (0.001, 31_500))
    ]
    recognizer = Recognizer(resolve("small-en"), threads=threads, decoding=DecodingOptions(method="greedy"))
    together = recognizer.emissions(signals)
    for signal, emission_tv in zip(signals, together, strict=True):
        np.testing.assert_array_equal(recognizer.emissions([signal])[0], emission_tv)

    def heard(streams: list[np.ndarray]) -> list[str]:
        sessions = [recognizer.stream(endpointing=None) for _ in streams]
        for session, samples in zip(sessions, streams, strict=True):
            session.buffer(samples)
            session.end()
        events: list[list[str]] = [[] for _ in sessions]
        while any(session.due for session in sessions):
            for told, new in zip(events, advance(sessions), strict=True):
                told += [event.text for event in new]
        return [" ".join(told) for told in events]

    assert heard(signals) == [text for signal in signals for text in heard([signal])]
