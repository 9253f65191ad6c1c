"""The pieces of one labelling, and what a person decided about each: kept in two manifests, whole at any moment."""

import threading
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from steno.data.manifest import Utterance
from steno.decoding.transcript import Transcript
from steno.errors import TextError
from steno.evaluation.wer import ErrorCounts, total, word_errors
from steno.fragments import part_of
from steno.labelling.kept import Kept
from steno.labelling.pieces import key, overlaps
from steno.text import ENGLISH, CharTokenizer, normalize
from steno.verbalize import verbalized

DRAFT = "draft"
"""Key of a manifest's row: the text that was put right."""
_OF_A_MODEL = frozenset({"confidence", "labelled_by"})
"""What `steno pseudo-label` says of its own text, which is not the person's."""


class State(StrEnum):
    """What was decided about a piece."""

    OPEN = "open"
    LABELLED = "labelled"
    UNUSABLE = "unusable"


@dataclass
class Item:
    """One piece: its draft is a transcript of the model's, or the text that the manifest had, or None so far."""

    number: int
    name: str
    """Its recording's, as :func:`steno.labelling.pieces.key` has it."""
    utterance: Utterance
    draft: Transcript | None = None
    problem: str = ""

    @property
    def confidence(self) -> float | None:
        """How sure the draft is of its words, from 0 to 1."""
        if self.draft is not None and self.draft.words:
            return self.draft.confidence
        given = self.utterance.extra.get("confidence")
        return float(given) if isinstance(given, int | float) else None


@dataclass(frozen=True)
class Progress:
    """How far it is, and how far the drafts are from what was written; hours are of what was labelled."""

    pieces: int
    labelled: int
    unusable: int
    hours: float
    changed: ErrorCounts


def _recording(row: Utterance) -> str:
    return key(row.audio)


def _whole(audio: Path) -> str:
    return key(part_of(audio).recording)


_changes = cache(word_errors)
"""For the same rows are counted after each decision."""


class Session:
    """Pieces, which may still be coming, and the decisions about them.

    Args:
        to: the manifest of what is labelled; one that is there is gone on with. What is unusable goes beside it.
        alphabet: characters that texts may have.

    Raises:
        ManifestError: what is there already is no manifest.
    """

    def __init__(self, to: Path, alphabet: str = ENGLISH) -> None:
        self.to, self.alphabet = to, alphabet
        self.aside = to.with_name(f"{to.stem}.unusable.jsonl")
        self._labelled, self._unusable = Kept(to, _recording), Kept(self.aside, _recording)
        self._tokenizer = CharTokenizer(alphabet)
        self._items: list[Item] = []
        decided = [*self._labelled.rows.items(), *self._unusable.rows.items()]
        self._ids = {row.id: name for name, row in decided}
        self._cut_before: dict[str, list[Path]] = {}
        for _, row in decided:
            self._cut_before.setdefault(_whole(row.audio), []).append(row.audio)
        self._lock = threading.Lock()
        self.complete = False
        self.problems: list[str] = []

    # ---- pieces ----

    def add(self, utterance: Utterance) -> Item | None:
        """Take a piece; None if another cut of its recording was decided before, and overlaps it."""
        with self._lock:
            name = key(utterance.audio)
            item = Item(len(self._items), name, replace(utterance, id=self._free_id(utterance.id, name)))
            if self.state(item) is State.OPEN and self._was_cut_otherwise(utterance.audio):
                return None
            if utterance.text is not None:
                item.draft = Transcript(utterance.text)
            self._items.append(item)
            return item

    def _was_cut_otherwise(self, audio: Path) -> bool:
        return any(overlaps(one, audio) for one in self._cut_before.get(_whole(audio), ()))

    def _free_id(self, wanted: str, name: str) -> str:
        found = wanted
        folders = list(part_of(Path(name)).recording.parent.parts)
        while self._ids.setdefault(found, name) != name and folders:
            found = f"{folders.pop().strip('/')}-{found}"
        return found

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: int) -> Item:
        return self._items[number]

    # ---- decisions ----

    def state(self, item: Item) -> State:
        """What was decided about a piece."""
        if item.name in self._labelled.rows:
            return State.LABELLED
        return State.UNUSABLE if item.name in self._unusable.rows else State.OPEN

    def row(self, item: Item) -> Utterance:
        """The piece as it was labelled, or as it came."""
        return self._labelled.rows.get(item.name, item.utterance)

    def label(self, item: Item, text: str, speaker: str | None = None) -> Utterance:
        """Keep a person's text, normalised; an empty one says that nobody speaks.

        Raises:
            TextError: it has letters or digits that the alphabet lacks.
            ManifestError: the manifest cannot be written.
        """
        spelled = normalize(text, self.alphabet)
        if unknown := self._tokenizer.unknown(spelled):
            raise TextError(f"{' '.join(unknown)}: not in the alphabet", "Write it as it is said.")
        extra: dict[str, Any] = {k: v for k, v in item.utterance.extra.items() if k not in _OF_A_MODEL}
        if item.draft is not None:
            extra.setdefault(DRAFT, item.draft.text)
        row = replace(item.utterance, text=spelled, speaker=speaker or None, extra=extra)
        with self._lock:
            self._labelled.put(row)
            self._unusable.remove(item.name)
        return row

    def set_aside(self, item: Item) -> None:
        """Leave a piece out: nobody can say what is said, or it is no speech to learn from.

        Raises:
            ManifestError: the manifest cannot be written.
        """
        with self._lock:
            self._unusable.put(item.utterance)
            self._labelled.remove(item.name)

    def reopen(self, item: Item) -> None:
        """Forget what was decided about a piece.

        Raises:
            ManifestError: the manifest cannot be written.
        """
        with self._lock:
            self._labelled.remove(item.name)
            self._unusable.remove(item.name)

    def suggestion(self, text: str) -> str | None:
        """A text with its numbers and signs in words, where that makes it one of the alphabet's; English only."""
        spelled = normalize(verbalized(text), self.alphabet)
        known = set(ENGLISH) <= set(self.alphabet) and not self._tokenizer.unknown(spelled)
        return spelled if known and spelled != normalize(text, self.alphabet) else None

    @property
    def progress(self) -> Progress:
        """Of all that is in the manifests, also from before."""
        rows = list(self._labelled.rows.values())
        changed = total(_changes(row.text or "", str(row.extra[DRAFT])) for row in rows if DRAFT in row.extra)
        hours = sum(row.duration for row in rows) / 3600
        return Progress(len(self), len(rows), len(self._unusable.rows), hours, changed)
