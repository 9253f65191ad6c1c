"""The worker for files: what came in together is judged, and transcribed in batches."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

from steno.errors import AudioError
from steno.runtime import Recognizer
from steno.runtime.files import transcribe_files
from steno.serving.decode import TooLongError, admit
from steno.serving.wire import Channel, Frame
from steno.serving.words import told, transcript_json

BATCH_SECONDS = 60.0
"""Audio that is transcribed at once. Short recordings come first, so that a long one does not hold them up."""

_log = logging.getLogger("steno.serving.worker")

Upload = tuple[int, bytes, float]
"""Job, recording and its seconds."""


def serve_files(channel: Channel, recognizer: Recognizer, max_seconds: float) -> None:
    """Answer jobs until the server hangs up."""
    while not channel.closed:
        jobs = channel.receive()
        if jobs:
            _run(channel, recognizer, jobs, max_seconds)


def _run(channel: Channel, recognizer: Recognizer, jobs: list[Frame], max_seconds: float) -> None:
    uploads: list[Upload] = []
    for head, body in jobs:
        admitted = _guarded(channel, head["id"], partial(admit, body, max_seconds))
        if admitted is not None:
            uploads.append((head["id"], *admitted))
    for batch in batches(uploads, BATCH_SECONDS):
        try:
            _transcribe(channel, recognizer, batch)
        except Exception:  # whichever of them it was: each gets another try alone
            _log.exception("a batch could not be transcribed")
            for upload in batch:
                _guarded(channel, upload[0], partial(_transcribe, channel, recognizer, [upload]))


def _transcribe(channel: Channel, recognizer: Recognizer, batch: list[Upload]) -> None:
    started = perf_counter()
    results = list(transcribe_files(recognizer, [recording for _, recording, _ in batch]))
    seconds = perf_counter() - started
    audio_seconds = sum(result.seconds for result in results)
    for (number, _, _), result in zip(batch, results, strict=True):
        if result.error is not None or result.transcript is None:
            channel.send({"id": number, "error": {"code": "invalid_audio", "message": told(result.error)}})
        else:
            channel.send(
                {
                    "id": number,
                    "transcript": transcript_json(result.transcript),
                    "duration": result.seconds,
                    "work_seconds": seconds * result.seconds / audio_seconds,
                    "batch": len(batch),
                }
            )


def batches(uploads: list[Upload], most: float) -> Iterator[list[Upload]]:
    """From short to long, each batch of at most ``most`` seconds in all, or one recording."""
    batch: list[Upload] = []
    total = 0.0
    for upload in sorted(uploads, key=lambda upload: upload[2]):
        if batch and total + upload[2] > most:
            yield batch
            batch, total = [], 0.0
        batch.append(upload)
        total += upload[2]
    if batch:
        yield batch


def _guarded(channel: Channel, number: int, run: Callable[[], Any]) -> Any:
    """The value, or None after the job was told why there is none."""
    try:
        return run()
    except TooLongError as error:
        problem = {"code": "audio_too_long", "message": told(error)}
    except AudioError as error:
        problem = {"code": "invalid_audio", "message": told(error)}
    except Exception:  # a defect, or memory that ran out: it is logged, and the next job goes on
        _log.exception("a recording could not be transcribed")
        problem = {"code": "internal_error", "message": "The recording could not be transcribed; the log says why."}
    channel.send({"id": number, "error": problem})
    return None
