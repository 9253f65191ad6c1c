"""Sends a spool in the background, waits out an unreachable store, and sends what is left over later."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from steno.errors import TrackingError
from steno.tracking import store
from steno.tracking.delivery import Delivery, Refused, batches
from steno.tracking.spool import Record, Spool
from steno.tracking.version import ModelVersion

_log = logging.getLogger("steno.tracking")
_LAST_TRIES, _LAST_PAUSE = 3, 1.0  # when the run ends in an outage
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class Sender:
    """A thread that delivers the records of a spool as they come.

    Args:
        spool: the run's spool.
        pauses: seconds to wait after the first, second, … failure in a row; the last repeats.
    """

    def __init__(self, spool: Spool, pauses: tuple[float, ...] = _PAUSES) -> None:
        self._spool = spool
        self._pauses = pauses
        self._delivery: Delivery | None = None
        self._wake = threading.Event()
        self._closing = False
        self._failures = 0
        self._last_error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="steno-tracking", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """New records are in the spool."""
        self._wake.set()

    def wait_for(self, position: int, patience: float) -> bool:
        """Wait until the store has everything before the position, as long as it takes anything.

        Args:
            position: as :meth:`Spool.append` returns it.
            patience: longest time in seconds without any progress.
        """
        self._wake.set()
        return _wait_for_progress(lambda: self._spool.sent, position, patience, stopped=lambda: self._failures > 1)

    def version(self, record_id: str) -> ModelVersion | None:
        """The model version that a record made, once it was sent."""
        return self._delivery.versions.get(record_id) if self._delivery else None

    def close(self, patience: float) -> int:
        """Send what can be sent and stop; returns the number of records that the store does not have yet."""
        self._closing = True
        self._wake.set()
        _wait_for_progress(
            lambda: self._spool.sent,
            self._spool.end,
            patience,
            stopped=lambda: not self._thread.is_alive(),
        )
        return sum(1 for _ in self._spool.records(self._spool.sent))

    @property
    def reason(self) -> str:
        """Why the last attempt failed; empty if it did not."""
        return store.reason(self._last_error) if self._last_error else ""

    def _run(self) -> None:
        tries = 0
        while tries < _LAST_TRIES:
            self._wake.clear()
            closing = self._closing
            if self._send_all():
                tries = 0
                if closing and self._spool.sent >= self._spool.end:
                    return
                self._wake.wait(timeout=0.0 if closing else None)
                # Gather what follows at once into the same request.
                time.sleep(0.0 if self._closing else 0.2)
            elif closing:
                tries += 1
                time.sleep(_LAST_PAUSE)
            else:
                self._pause(self._pauses[min(self._failures, len(self._pauses)) - 1])

    def _pause(self, seconds: float) -> None:
        """Wait out a failure; closing ends the wait, new records do not."""
        until = time.monotonic() + seconds
        while not self._closing and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def _send_all(self) -> bool:
        """Whether the store took everything that is in the spool."""
        try:
            self._spool.sync()
            if self._delivery is None:
                self._delivery = Delivery(store.client(self._spool.note.uri), self._spool)
            deliver(self._spool, self._delivery)
        except Exception as error:  # an outage, of whatever kind: it must never reach the training
            known = self.reason
            self._failures += 1
            self._last_error = error
            if self.reason != known:
                _log.warning(
                    "tracking store %s: %s; training goes on, records wait in %s",
                    self._spool.note.uri,
                    self.reason,
                    self._spool.folder,
                )
            return False
        if self._failures:
            _log.warning("tracking store %s: is back, and has all records", self._spool.note.uri)
        self._failures, self._last_error = 0, None
        return True


def deliver(spool: Spool, delivery: Delivery) -> int:
    """Send everything in the spool that was not sent; returns the number of records that the store took.

    A record that it refuses is set aside in ``refused.jsonl`` with a warning; its file stays.
    """
    count = 0
    while True:
        # A bounded look ahead: metric points that come while this runs are sent in the next round.
        groups = list(batches(islice(spool.records(spool.sent), 1000)))
        if not groups:
            return count
        for position, records in groups:
            try:
                delivery.send(records)
                taken = records
            except Refused:
                taken = [record for record in records if _send_alone(spool, delivery, record)]
            spool.mark_sent(position)
            for record in taken:
                spool.drop_files(record)
            count += len(taken)


def _send_alone(spool: Spool, delivery: Delivery, record: Record) -> bool:
    try:
        delivery.send([record])
        return True
    except Refused as refusal:
        spool.refuse(record, str(refusal))
        _log.warning("the tracking store refused a record (%s): %s", record["kind"], store.reason(refusal))
        return False


@dataclass(frozen=True, slots=True)
class Synced:
    """What :func:`sync` did for one run."""

    run_id: str
    uri: str
    records: int
    refused: int


def sync(run_dir: Path) -> list[Synced]:
    """Send everything that runs in this folder could not send.

    Raises:
        TrackingError: there is no tracked run, one is still training, or its store does not answer.
    """
    folders = sorted(path.parent for path in (run_dir / "tracking").glob("*/run.json"))
    if not folders:
        raise TrackingError(f"{run_dir}: no tracked run here", "Give the folder of a training run.")
    return [_sync_one(folder) for folder in folders]


def _sync_one(folder: Path) -> Synced:
    spool = Spool(folder)
    try:
        note = spool.note
        count = 0
        if spool.sent < spool.end:
            try:
                count = deliver(spool, Delivery(store.client(note.uri), spool))
            except TrackingError:
                raise
            except Exception as error:
                raise store.explain(error, note.uri, f"sending run {note.run_id}") from error
        refused = folder / "refused.jsonl"
        lines = refused.read_text(encoding="utf-8").count("\n") if refused.exists() else 0
        return Synced(note.run_id, note.uri, count, lines)
    finally:
        spool.close()


def _wait_for_progress(sent: Callable[[], int], goal: int, patience: float, stopped: Callable[[], bool]) -> bool:
    seen, since = sent(), time.monotonic()
    while sent() < goal:
        if stopped() or time.monotonic() - since > patience:
            return sent() >= goal
        if sent() != seen:
            seen, since = sent(), time.monotonic()
        time.sleep(0.02)
    return True
