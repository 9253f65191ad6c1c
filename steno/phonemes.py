"""Phonemes: what words sound like, a second spelling that a model may learn beside their letters.

Words are pronounced by espeak-ng, one by one, when training starts and when a language model is tuned. A model folder
holds the phonemes that its model writes, and what its language model's words sound like: whoever uses it does not need
espeak-ng.
"""

import gzip
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from pydantic import Field

from steno.config import Fraction, Strict
from steno.errors import ModelError, StenoError
from steno.textfile import read_text

PRONUNCIATIONS = "pronunciations.tsv.gz"
"""What words sound like, in a model folder: a word, a tab and its phonemes a line."""

STATES_A_PHONEME = 3
"""The beginning, the middle and the end of each phoneme, and of silence, which stands before them."""

Spelling = tuple[str, ...]

_ENGLISH: dict[str, Spelling] = {
    phone: tuple(same.split())
    for phone, same in {
        "r": "ɹ", "n̩": "ə n", "ʔ": "t", "əl": "ə l", "iə": "iː ə", "aɪɚ": "aɪ ɚ", "aɪə": "aɪ ə", "ɔːɹ": "ɔː ɹ",
        "ɑːɹ": "ɑː ɹ", "ɛɹ": "ɛ ɹ", "ɪɹ": "ɪ ɹ", "ʊɹ": "ʊ ɹ", "ᵻ": "ɪ", "ɐ": "ə", "i": "iː", "ɔ": "ɔː", "x": "k",
        "ç": "h", "ɔ̃": "ɔː", "ɡʲ": "ɡ", "e": "eɪ", "ɑ̃": "ɑː", "ææ": "æ", "ɬ": "l",
    }.items()
}  # fmt: skip
"""Distinctions that espeak-ng makes in English words and few hours of speech cannot teach, or foreign sounds."""
_ENGLISH_WORDS: dict[str, Spelling] = {"a": ("ə",)}
"""What espeak-ng takes for a letter's name where it stands alone."""


class FrameConfig(Strict):
    """Which state of which phoneme is heard in each frame, as a third target while a model is trained.

    The training recordings are aligned before the first epoch, from nothing but what their words sound like. Frames
    whose sounds are known teach them far sooner than CTC, which has to find out where they are; later CTC knows better.
    So their share of the loss falls from ``weight`` evenly to ``last_weight``, over the share ``until`` of the epochs.

    Source: Sak et al., "Fast and Accurate Recurrent Neural Network Acoustic Models for Speech Recognition",
    Interspeech 2015, for CTC after such training.
    """

    weight: Fraction = 0.6
    last_weight: Fraction = 0.2
    until: Fraction = 0.6

    def share(self, epoch: int, epochs: int) -> float:
        """Of the loss in an epoch, counted from 0, of so many."""
        progress = min(1.0, epoch / (self.until * epochs)) if self.until else 1.0
        return self.weight + (self.last_weight - self.weight) * progress


class PhonemeConfig(Strict):
    """Phonemes as a second CTC target, after a block of the model, whose later blocks hear which ones were found.

    ``block`` counts from 1; ``weight`` is the phonemes' share of the loss. ``symbols`` are found when training starts:
    those of the training transcripts' words, or those of the model that it starts from.

    Sources: Krishna et al., "Hierarchical Multitask Learning for CTC-based Speech Recognition", 2018, for the target;
    Nozaki and Komatsu, "Relaxing the Conditional Independence Assumption of CTC-based ASR by Conditioning on
    Intermediate Predictions", Interspeech 2021, for what later blocks hear.
    """

    voice: str = Field("en-us", description="espeak-ng's voice, which pronounces the words")
    block: int = Field(ge=1)
    weight: Fraction = 0.3
    frames: FrameConfig | None = None
    symbols: tuple[str, ...] = ()

    @property
    def labels(self) -> int:
        """Labels of the second target: the blank, which is 0, and the phonemes from 1."""
        return len(self.symbols) + 1

    @property
    def states(self) -> int:
        """States of silence, which come first, and of the phonemes."""
        return STATES_A_PHONEME * (len(self.symbols) + 1)


def pronounce(words: Iterable[str], voice: str) -> dict[str, Spelling]:
    """What each word sounds like; one that espeak-ng cannot say is left out.

    Raises:
        MissingExtraError: espeak-ng is not installed.
        StenoError: it does not know the voice.
    """
    from steno.espeak import espeak

    with espeak() as speaker:
        found = speaker.pronounce(sorted(set(words)), voice)
    if voice.startswith("en"):
        known = {word: heard for word, heard in _ENGLISH_WORDS.items() if word in found}
        found = {word: _joined(heard) for word, heard in found.items()} | known
    return {word: heard for word, heard in found.items() if heard}


def _joined(heard: Spelling) -> Spelling:
    return tuple(same for phone in heard for same in _ENGLISH.get(phone, (phone,)))


def symbols_of(pronounced: Mapping[str, Spelling]) -> tuple[str, ...]:
    """The phonemes of these words, sorted."""
    return tuple(sorted({phone for heard in pronounced.values() for phone in heard}))


def read_lexicon(path: Path, symbols: Iterable[str]) -> dict[str, Spelling]:
    """A user's own pronunciations: a word, a tab and its phonemes with spaces between them a line.

    Raises:
        StenoError: the file cannot be read, or a line is not such, or has a phoneme that is not among the symbols.
    """
    known, found = set(symbols), dict[str, Spelling]()
    for number, line in enumerate(read_text(path, StenoError).splitlines(), start=1):
        if not line.strip():
            continue
        word, _, spelled = line.partition("\t")
        heard = tuple(spelled.split())
        if not word.strip() or not heard:
            raise StenoError(f"{path}:{number}: not a word, a tab and its phonemes: {line!r}")
        if strange := [phone for phone in heard if phone not in known]:
            raise StenoError(
                f"{path}:{number}: {word}: the model writes no {' '.join(strange)}", f"It writes {' '.join(symbols)}."
            )
        found[word.strip()] = heard
    return found


def write_pronunciations(path: Path, pronounced: Mapping[str, Spelling]) -> None:
    """Write them, the same bytes for the same words."""
    lines = "".join(f"{word}\t{' '.join(heard)}\n" for word, heard in sorted(pronounced.items()))
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))


class Pronunciations:
    """What words sound like, as labels.

    Args:
        heard: the phonemes of each word, or the file where :func:`write_pronunciations` wrote them, which is read when
            it is first needed.
        symbols: the model's phonemes.
        voice: espeak-ng's, which says what further words sound like.
    """

    def __init__(self, heard: Mapping[str, Spelling] | Path, symbols: tuple[str, ...], voice: str = "en-us") -> None:
        self._source, self._symbols, self._voice = heard, symbols, voice

    def __len__(self) -> int:
        return len(self._heard)

    @property
    def labels(self) -> int:
        """The blank, which is 0, and the phonemes from 1."""
        return len(self._symbols) + 1

    def learn(self, words: Iterable[str]) -> None:
        """Have espeak-ng pronounce those of these words that are not there.

        Raises:
            MissingExtraError: it is not installed.
            ModelError: the file cannot be read.
            StenoError: it does not know the voice.
        """
        unknown = {word for word in words if word not in self._heard}
        if unknown:
            self.add(pronounce(unknown, self._voice))

    def add(self, heard: Mapping[str, Spelling]) -> None:
        """Take these words' sounds, in place of others that they may have."""
        self._heard.update({word: " ".join(phones) for word, phones in heard.items()})

    def spellings(self) -> dict[str, Spelling]:
        """All words that are there, and their phonemes.

        Raises:
            ModelError: the file cannot be read.
        """
        return {word: tuple(heard.split(" ")) for word, heard in self._heard.items()}

    def spelled(self, words: Iterable[str]) -> list[int] | None:
        """Labels of the words, or None where one of them is not there or sounds of what the model does not write.

        Raises:
            ModelError: the file cannot be read.
        """
        known, labels = self._labels, list[int]()
        for word in words:
            heard = self._heard.get(word)
            if heard is None:
                return None
            labels += [known.get(phone, 0) for phone in heard.split(" ")]
        return None if 0 in labels else labels

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self._symbols, start=1)}

    @cached_property
    def _heard(self) -> dict[str, str]:
        path = self._source
        if not isinstance(path, Path):
            return {word: " ".join(heard) for word, heard in path.items()}
        try:
            lines = gzip.decompress(path.read_bytes()).decode().splitlines()
            return dict(line.split("\t") for line in lines)
        except (OSError, EOFError, ValueError) as error:
            raise ModelError(f"{path}: cannot be read ({error})", "Fetch or export the model again.") from None
