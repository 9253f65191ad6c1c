"""A session: one stream of samples in, partial and final results out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from steno.audio import Samples
from steno.decoding.incremental import IncrementalDecoder
from steno.decoding.path import Emission
from steno.runtime.streaming.encoder import Encoder, EncoderStream
from steno.runtime.streaming.endpointing import Endpointer
from steno.runtime.streaming.events import Event, Final, Partial, Reason
from steno.runtime.streaming.resampling import StreamResampler
from steno.runtime.streaming.signal import SampleQueue


class StreamingSession:
    """Listens to one stream. Made by :meth:`steno.runtime.Recognizer.stream`; not for several threads at once.

    What it tells depends on the samples alone, not on the pieces in which they came: it works through them in
    steps of its own, and looks for an endpoint after each. Utterances are recognised one by one, each as if it were
    a recording of its own.

    Args:
        encoder: shared by the sessions of a recogniser.
        decoder: this session's own.
        sample_rate: that of the encoder, in Hz.
        given_rate: that of the samples to come where a call does not say it, in Hz.
        frame_seconds: distance of two frames of the encoder.
        spells: whether each label spells something; the blank and the space do not.
        endpointer: this session's own; None takes the whole stream for one utterance.
    """

    def __init__(
        self,
        encoder: Encoder[Any],
        decoder: IncrementalDecoder,
        sample_rate: int,
        given_rate: float,
        frame_seconds: float,
        spells: Sequence[bool],
        endpointer: Endpointer | None,
    ) -> None:
        self.encoder = encoder
        self._decoder, self._endpointer = decoder, endpointer
        self._spells_v = np.array(spells)
        self._rate, self._given_rate = sample_rate, given_rate
        self._frame_samples = frame_seconds * sample_rate
        self._preroll = round(endpointer.config.preroll * sample_rate) if endpointer else 0
        self._resampler = StreamResampler(sample_rate)
        self._waiting = SampleQueue()
        self._ended = False
        self.finished = False
        """Whether the stream has ended and everything was told."""
        self._start = self._heard = self._decoded = 0
        self._last_token: int | None = None
        self._told = ""
        self._closing: Reason | None = None
        self._stream: EncoderStream = encoder.start()
        self._wanted = encoder.first_tick
        self._tail_n: Samples = np.zeros(0, np.float32)

    # ---- samples in, events out ----------------------------------------------------------------------------

    def accept(self, samples: npt.NDArray[Any], sample_rate: float | None = None) -> list[Event]:
        """Take the next samples (N,), float of full scale ±1 or int16, and tell what was heard.

        Raises:
            AudioError: these are no such samples, or their rate has changed.
        """
        self.buffer(samples, sample_rate)
        return self._drain()

    def finish(self) -> list[Event]:
        """The stream has ended: tell the rest."""
        self.end()
        return self._drain()

    def buffer(self, samples: npt.NDArray[Any], sample_rate: float | None = None) -> None:
        """Take the next samples, and leave the work to :func:`advance`.

        Raises:
            AudioError: as :meth:`accept`.
            ValueError: the stream has ended.
        """
        if self._ended:
            raise ValueError("the stream has ended; start another session")
        self._waiting.push(self._resampler.accept(samples, self._given_rate if sample_rate is None else sample_rate))

    def end(self) -> None:
        """The stream has ended; leave the work to :func:`advance`."""
        if not self._ended:
            self._waiting.push(self._resampler.finish())
            self._ended = True

    @property
    def due(self) -> bool:
        """Whether :func:`advance` has something to do for it."""
        return not self.finished and (self._stream.due or self._ended or len(self._waiting) >= self._wanted)

    @property
    def waiting_seconds(self) -> float:
        """Audio that was buffered and not yet worked on."""
        return len(self._waiting) / self._rate

    def _drain(self) -> list[Event]:
        events: list[Event] = []
        while self.due:
            events += advance([self])[0]
        return events

    # ---- a step, as advance() takes it ---------------------------------------------------------------------

    def _listen(self) -> None:
        """Hand the encoder the next samples, unless it has to give the rest of an utterance first."""
        if self._closing is not None:
            return
        # A whole tick is worked on as one even if the stream has ended after it, so that nothing depends on when
        # its end was known.
        whole = len(self._waiting) >= self._wanted
        if whole or self._ended:
            samples_n = self._waiting.pop(self._wanted)
            if self._endpointer is not None:
                self._endpointer.accept(samples_n, self._start + self._heard)
            self._heard += len(samples_n)
            self._wanted = self.encoder.tick
            self._tail_n = np.concatenate([self._tail_n, samples_n])[-self._preroll - 1 :]
            self._stream.accept(samples_n)
        if not whole and self._ended:
            self._close("end")

    def _absorb(self, emission_tv: Emission | None) -> list[Event]:
        """Decode the frames of a step, and tell what is new."""
        events: list[Event] = []
        if emission_tv is not None and len(emission_tv):
            self._decoder.push(emission_tv)
            spoken_t = np.flatnonzero(self._spells_v[emission_tv[:, : len(self._spells_v)].argmax(axis=1)])
            if len(spoken_t):
                self._last_token = self._decoded + int(spoken_t[-1]) + 1
            self._decoded += len(emission_tv)
            if self._closing is None:
                events = self._partial()
        if self._closing is None:
            reason = self._endpoint()
            if reason is not None:
                self._close(reason)
        elif self._stream.done:
            events = self._final(self._closing)
        return events

    def _partial(self) -> list[Event]:
        partial = self._decoder.partial()
        if partial.text == self._told:
            return []
        self._told = partial.text
        return [Partial(partial.text, partial.words, self._start / self._rate)]

    def _endpoint(self) -> Reason | None:
        if self._endpointer is None:
            return None
        return self._endpointer.reason(
            self._start,
            self._start + self._heard,
            self._start + self._samples(self._decoded),
            None if self._last_token is None else self._start + self._samples(self._last_token),
        )

    def _final(self, reason: Reason) -> list[Event]:
        """The utterance is over; the next one begins unless the stream has ended too."""
        end = self._start + self._heard
        transcript = self._decoder.finish()
        found: list[Event] = []
        if transcript.text:
            found.append(Final(transcript, self._start / self._rate, end / self._rate, reason))
        if reason == "end":
            self.finished = True
            return found
        again_n = self._tail_n[len(self._tail_n) - self._preroll :] if reason != "length" else self._tail_n[:0]
        self._waiting.push_front(again_n)
        self._begin(end - len(again_n))
        return found

    # ---- utterances ----------------------------------------------------------------------------------------

    def _begin(self, start: int) -> None:
        """An utterance that begins at this sample of the stream."""
        self._start, self._heard, self._decoded = start, 0, 0
        self._last_token, self._told, self._closing = None, "", None
        self._stream = self.encoder.start()
        self._wanted = self.encoder.first_tick
        self._tail_n = self._tail_n[:0]
        self._decoder.reset(start / self._rate)

    def _close(self, reason: Reason) -> None:
        self._stream.end()
        self._closing = reason

    def _samples(self, frames: int) -> int:
        return round(frames * self._frame_samples)


def advance(sessions: Sequence[StreamingSession]) -> list[list[Event]]:
    """One step of every session that has something to do, in one batch an encoder.

    Returns:
        What each session tells, in their order. Sessions that are still ``due`` have more to do.
    """
    due = [session for session in sessions if session.due]
    for session in due:
        session._listen()
    emissions: dict[int, Emission] = {}
    for encoder in {id(session.encoder): session.encoder for session in due}.values():
        batch = [s for s in due if s.encoder is encoder and s._stream.due]
        if batch:
            found = encoder.run([session._stream for session in batch])
            emissions |= {id(session): emission_tv for session, emission_tv in zip(batch, found, strict=True)}
    told = {id(session): session._absorb(emissions.get(id(session))) for session in due}
    return [told.get(id(session), []) for session in sessions]
