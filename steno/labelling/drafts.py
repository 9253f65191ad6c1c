"""Pieces and their drafts, found in the background while a person works."""

import threading
from collections.abc import Iterator, Sequence
from itertools import islice

from steno import audio
from steno.errors import AudioError
from steno.labelling.pieces import Source, pieces
from steno.labelling.session import Item, Session, State
from steno.runtime import Recognizer

_AT_ONCE = 4
"""Pieces that are transcribed together: few, since a person waits for the first."""


class Drafting(threading.Thread):
    """Cuts the sources, and transcribes what has no text yet.

    A recording that cannot be read is one of the session's problems, and costs no other.

    Args:
        session: gets the pieces.
        sources: what is to be labelled, in this order.
        recognizer: transcribes; None leaves it to the person alone.
        longest: seconds of a piece, at most.
    """

    def __init__(
        self, session: Session, sources: Sequence[Source], recognizer: Recognizer | None, longest: float
    ) -> None:
        super().__init__(daemon=True)
        self._session, self._sources, self._recognizer, self._longest = session, sources, recognizer, longest
        self._stopping = threading.Event()

    def run(self) -> None:
        coming = self._items()
        while items := list(islice(coming, _AT_ONCE)):
            self._draft([one for one in items if one.draft is None and self._session.state(one) is State.OPEN])
        self._session.complete = not self._stopping.is_set()

    def stop(self) -> None:
        """End after what is being transcribed, and wait for it."""
        self._stopping.set()
        self.join()

    def _items(self) -> Iterator[Item]:
        for source in self._sources:
            try:
                for piece in pieces(source, self._longest):
                    if self._stopping.is_set():
                        return
                    if item := self._session.add(piece):
                        yield item
            except AudioError as error:
                self._session.problems.append(error.message)

    def _draft(self, items: Sequence[Item]) -> None:
        if self._recognizer is None:
            return
        heard = []
        for item in items:
            try:
                heard.append((item, audio.load(item.utterance.audio, self._recognizer.sample_rate)))
            except AudioError as error:
                item.problem = error.message
                self._session.problems.append(error.message)
        transcripts = self._recognizer.transcribe([samples for _, samples in heard])
        for (item, _), transcript in zip(heard, transcripts, strict=True):
            item.draft = transcript
