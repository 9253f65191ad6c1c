"""espeak-ng through ctypes: text and a voice in, samples out, whatever was spoken before.

The library and its voices come from the ``espeakng-loader`` wheel. espeak-ng keeps its wave phase, resonators and
random numbers in static variables that neither a new voice nor ``espeak_Terminate`` resets, so the same text sounds
a little different each time. Here the library is loaded anew for every utterance, from a copy that nobody else in
the process can hold open; this costs 2 ms and makes each utterance a function of its text, voice and seed alone.
"""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steno.audio import SAMPLE_RATE, Samples, resample
from steno.errors import MissingExtraError, StenoError

_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_AT_CHARACTER = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_SOFT = 30
"""The loudest variants overflow 16 bits inside espeak-ng at its default volume of 100, and still do at 50."""

_APART = "_"
_IPA_APART = ord(_APART) << 8 | 2
_UNSTRESSED = str.maketrans({"ˈ": "", "ˌ": "", " ": _APART})

_REINSTALL = "Reinstall it: pip install --force-reinstall espeakng-loader"

_OnSamples = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Voice:
    """How something is said.

    Args:
        name: espeak-ng's name, an accent and a variant: ``en-us+f3``.
        rate: words a minute.
        pitch: 0 to 99, 50 is the variant's own.
        range: 0 (monotone) to 99, 50 is the variant's own.
    """

    name: str
    rate: int = 175
    pitch: int = 50
    range: int = 50


@dataclass(frozen=True)
class Espeak:
    """espeak-ng ready to speak; made by :func:`espeak`, and may be sent to other processes while that is open."""

    library: Path
    data: Path
    version: str

    def speak(self, text: str, voice: Voice, seed: int = 0) -> Samples:
        """Say one utterance.

        Returns:
            Samples of shape (N,) at 16 kHz, full scale ±1, with espeak-ng's own short silences at the ends.

        Raises:
            StenoError: espeak-ng does not know the voice, or said nothing.
        """
        with _loaded(self.library, self.data) as (library, rate):
            samples = _synthesise(library, text, voice, seed)
        return resample(samples, rate, SAMPLE_RATE)

    def pronounce(self, words: Iterable[str], voice: str) -> dict[str, tuple[str, ...]]:
        """Phonemes of each word by itself, in the International Phonetic Alphabet, without stress.

        Raises:
            StenoError: espeak-ng does not know the voice.
        """
        with _loaded(self.library, self.data) as (library, _):
            _choose(library, voice)
            library.espeak_TextToPhonemes.restype = ctypes.c_char_p
            return {word: _phonemes(library, word) for word in words}


@contextmanager
def espeak() -> Iterator[Espeak]:
    """espeak-ng in a temporary folder of its own, which goes at the end.

    The folder also keeps the path to the voices short: espeak-ng holds it in 160 bytes.

    Raises:
        MissingExtraError: the wheel is not installed.
        StenoError: its library does not load.
    """
    try:
        import espeakng_loader
    except ImportError:
        raise MissingExtraError("espeakng-loader", "demo") from None
    library = Path(espeakng_loader.get_library_path())
    with tempfile.TemporaryDirectory(prefix="steno-espeak-") as name:
        folder = Path(name)
        private, data = folder / library.name, folder / "espeak-ng-data"
        shutil.copyfile(library, private)
        data.symlink_to(Path(espeakng_loader.get_data_path()).resolve(), target_is_directory=True)
        with _loaded(private, data) as (loaded, _):
            loaded.espeak_Info.restype = ctypes.c_char_p
            version = loaded.espeak_Info(None).decode().split()[0]
        yield Espeak(private, data, version)


@contextmanager
def _loaded(path: Path, data: Path) -> Iterator[tuple[ctypes.CDLL, int]]:
    """The library with all its variables as at the start, and its sample rate in Hz; unloaded at the end."""
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise StenoError(f"espeak-ng does not load: {error}", _REINSTALL) from error
    try:
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), _DO_NOT_EXIT)
        if rate <= 0:
            raise StenoError(
                f"espeak-ng does not start with the voices in {data.resolve()}",
                _REINSTALL,
            )
        yield library, rate
        library.espeak_Terminate()
    finally:
        _unload(library)


def _unload(library: ctypes.CDLL) -> None:
    close: Any = ctypes.CDLL(None).dlclose
    close.argtypes = [ctypes.c_void_p]
    close(library._handle)
    try:
        ctypes.CDLL(library._name, mode=os.RTLD_NOLOAD)
    except OSError:
        return
    raise StenoError(
        "the C library of this system does not unload espeak-ng, so its speech would not be reproducible",
        "Make the corpus on a Linux with glibc.",
    )


def _choose(library: ctypes.CDLL, voice: str) -> None:
    if library.espeak_SetVoiceByName(voice.encode()):
        raise StenoError(f"espeak-ng has no voice {voice!r}")


def _phonemes(library: ctypes.CDLL, word: str) -> tuple[str, ...]:
    text = ctypes.create_string_buffer(word.encode())
    rest, found = ctypes.c_void_p(ctypes.addressof(text)), []
    while rest.value:  # a clause at a time
        said = library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA_APART).decode()
        found += said.translate(_UNSTRESSED).split(_APART)
    return tuple(phone for phone in found if phone and phone != ":")


def _synthesise(library: ctypes.CDLL, text: str, voice: Voice, seed: int) -> Samples:
    chunks: list[bytes] = []

    @_OnSamples
    def collect(samples: Any, count: int, _events: int | None) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    library.espeak_SetSynthCallback(collect)
    _choose(library, voice.name)
    settings = {_RATE: voice.rate, _VOLUME: _SOFT, _PITCH: voice.pitch, _RANGE: voice.range}
    for parameter, value in settings.items():
        library.espeak_SetParameter(parameter, value, 0)
    library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
    words = text.encode()
    failed = library.espeak_Synth(words, ctypes.c_size_t(len(words) + 1), 0, _AT_CHARACTER, 0, _UTF8, None, None)
    if failed or not chunks:
        raise StenoError(f"espeak-ng did not say {text!r} with the voice {voice.name}")
    return np.frombuffer(b"".join(chunks), dtype=np.int16).astype(np.float32) / np.float32(32768)
