"""How many people can speak to one server at once: real speech at speaking pace over WebSockets on loopback.

Each stream is one connection that sends 100 ms of a recording every 100 ms, and the finish message right after its
last sample. Latency is the time from sending that message to receiving the last final and the ``done`` behind it: the
wait after the end of speech, with no endpointing rule in it. The server and this script share the machine.

    python benchmarks/serving_load.py --model MODEL --speech FOLDER --streams 50
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from steno import audio
from steno.runtime.files import expand

FRAME_SECONDS = 0.1
STAGGER_SECONDS = 2.0
"""Streams of a round start at random within this time: people do not speak in step."""


@dataclass
class Recording:
    """16-bit samples at 16 kHz, and what the server heard in them while it had nothing else to do."""

    pcm: bytes
    seconds: float
    text: str = ""


@dataclass
class Outcome:
    """What became of a round's streams; times in seconds."""

    latencies: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    changed: int = 0
    sent_seconds: float = 0.0
    lateness: float = 0.0

    def add(self, other: "Outcome") -> None:
        """Join another round's."""
        self.latencies += other.latencies
        self.refusals += other.refusals
        self.broken += other.broken
        self.changed += other.changed
        self.sent_seconds += other.sent_seconds
        self.lateness = max(self.lateness, other.lateness)


def main() -> None:
    """Run the quiet pass, the load, and twice the load; print a table."""
    parser = arguments(__doc__)
    parser.add_argument("--streams", type=int, default=50, help="streams at one time, and the server's limit")
    parser.add_argument("--rounds", type=int, default=4, help="times that all streams speak")
    parser.add_argument("--recordings", type=int, default=20, help="different recordings to use")
    parser.add_argument("--longest", type=float, default=12.0, help="seconds of a recording, at most")
    given = parser.parse_args()
    generator = random.Random(given.seed)
    recordings = choose(given.speech, given.recordings, given.longest, generator)
    with server(given.model, given.streams, given.workers) as (url, _):
        asyncio.run(measure(url, recordings, given.streams, given.rounds, generator))


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What every script takes that lets recordings speak to a server of its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a model folder or reference")
    parser.add_argument("--speech", required=True, nargs="+", help="recordings, folders or globs")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="the server's workers")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def choose(sources: Sequence[str], count: int, longest: float, generator: random.Random) -> list[Recording]:
    """Recordings of 2 s to ``longest``, at random."""
    names = expand(sources)
    generator.shuffle(names)
    found: list[Recording] = []
    for name in names:
        if len(found) < count and 2.0 <= audio.duration(name) <= longest:
            samples = audio.load(name)
            pcm = (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()
            found.append(Recording(pcm, len(samples) / audio.SAMPLE_RATE))
    if not found:
        raise SystemExit(f"no recording of 2 to {longest:g} s in {', '.join(sources)}")
    return found


@contextlib.contextmanager
def server(model: str, streams: int, workers: int) -> Iterator[tuple[str, int]]:
    """A server of this checkout on a free port; its address and its process's number."""
    options = ["--model", model, "--port", "0", "--max-streams", str(streams), "--workers", str(workers)]
    command = [sys.executable, "-m", "steno", "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " at http://" not in line:
            raise SystemExit("the server did not start")
        try:
            yield line.split(" at ")[1].split()[0], process.pid
        finally:
            process.terminate()


async def measure(url: str, recordings: list[Recording], streams: int, rounds: int, generator: random.Random) -> None:
    """Every pass, and the table."""
    quiet = Outcome()
    for recording in recordings:
        quiet.add(await speak(url, recording, 0.0, pace=4.0))
    table = Table("", "quiet", f"{streams} streams", f"{2 * streams} streams")
    columns = [quiet]
    for count in (streams, 2 * streams):
        outcome = Outcome()
        before = transcribed(url)
        for _ in range(rounds):
            talks = [
                speak(url, generator.choice(recordings), generator.uniform(0, STAGGER_SECONDS)) for _ in range(count)
            ]
            for done in await asyncio.gather(*talks):
                outcome.add(done)
        missing = outcome.sent_seconds - (transcribed(url) - before)
        Console().print(f"{count} streams: {outcome.sent_seconds:.0f} s of audio sent, {missing:.2f} s of it not heard")
        columns.append(outcome)
    rows = {
        "streams held": lambda o: str(len(o.latencies)),
        "refused": lambda o: str(len(o.refusals)),
        "refused within, worst": lambda o: milliseconds(o.refusals, 100),
        "broken off": lambda o: str(len(o.broken)),
        "text other than when quiet": lambda o: str(o.changed),
        "end of speech to final, p50": lambda o: milliseconds(o.latencies, 50),
        "p95": lambda o: milliseconds(o.latencies, 95),
        "worst": lambda o: milliseconds(o.latencies, 100),
        "this script's lateness, worst": lambda o: f"{1000 * o.lateness:.0f} ms",
    }
    for name, cell in rows.items():
        table.add_row(name, *(cell(column) for column in columns))
    Console().print(table)
    for problem in sorted({problem for column in columns for problem in column.broken}):
        Console().print(f"broken off: {problem}")


async def speak(url: str, recording: Recording, wait: float, pace: float = 1.0) -> Outcome:
    """One stream, from its handshake to its last final. With ``pace`` above 1 it speaks faster."""
    await asyncio.sleep(wait)
    outcome = Outcome()
    asked = time.perf_counter()
    address = url.replace("http", "ws", 1) + "/v1/stream"
    try:
        async with connect(address, compression=None, open_timeout=30) as socket:
            await socket.send(json.dumps({"type": "config", "sample_rate": audio.SAMPLE_RATE}))
            hearing = asyncio.create_task(hear(socket))
            size = int(FRAME_SECONDS * audio.SAMPLE_RATE) * 2
            start = time.perf_counter()
            for number, at in enumerate(range(0, len(recording.pcm), size), start=1):
                due = start + min(number * FRAME_SECONDS, recording.seconds) / pace
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                outcome.lateness = max(outcome.lateness, time.perf_counter() - due)
                await socket.send(recording.pcm[at : at + size])
            outcome.sent_seconds = recording.seconds
            await socket.send(json.dumps({"type": "finish"}))
            finished = time.perf_counter()
            text, heard = await hearing
            outcome.latencies.append(heard - finished)
    except InvalidStatus as refusal:
        outcome.refusals.append(time.perf_counter() - asked)
        if refusal.response.status_code != 429 or "retry-after" not in refusal.response.headers:
            outcome.broken.append(f"refused with {refusal.response.status_code}")
        return outcome
    except (ConnectionClosed, OSError, TimeoutError) as problem:
        outcome.broken.append(f"{type(problem).__name__}: {problem}")
        return outcome
    if recording.text:
        outcome.changed += text != recording.text
    else:
        recording.text = text or "(nothing)"
    return outcome


async def hear(socket: ClientConnection) -> tuple[str, float]:
    """The text of all finals, and when the server said that it was the last."""
    texts = []
    while True:
        said = json.loads(await socket.recv())
        if said["type"] == "final":
            texts.append(said["text"])
        elif said["type"] == "done":
            return " ".join(texts) or "(nothing)", time.perf_counter()
        elif said["type"] == "error":
            raise ConnectionResetError(said["error"]["message"])


def transcribed(url: str) -> float:
    """Seconds of live audio that the server counts."""
    with urllib.request.urlopen(f"{url}/metrics") as page:
        lines = page.read().decode().splitlines()
    return float(
        next((line.split()[1] for line in lines if line.startswith('steno_audio_seconds_total{kind="streams"}')), 0)
    )


def milliseconds(values: list[float], percentile: float) -> str:
    """A percentile as milliseconds."""
    return f"{1000 * float(np.percentile(values, percentile)):.0f} ms" if values else "–"


if __name__ == "__main__":
    main()
