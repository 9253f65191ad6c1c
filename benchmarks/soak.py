"""A day of streamed audio, as fast as the server takes it, and the server's memory meanwhile.

    python benchmarks/soak.py --model MODEL --speech FOLDER --hours 24

Each of a few connections is one stream from the beginning to the end: recordings at random with pauses between them,
so that the server ends an utterance at a pause. Memory is the proportional set size of the server and its workers. What
they hold after the first tenth, when everything has been used once, is compared with what they hold at the end.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from serving_load import Recording, arguments, choose, server
from websockets.asyncio.client import connect

from steno import audio

PIECE_SECONDS = 0.5
PAUSE_SECONDS = 1.5
TENTHS = 10


@dataclass
class Progress:
    """Seconds of audio that were sent, utterances that came back, and memory by tenths of the way."""

    goal: float
    weigh: Callable[[], float]
    sent: float = 0.0
    utterances: int = 0
    memory: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        """Count audio; weigh the server at each tenth."""
        self.sent += seconds
        while len(self.memory) < TENTHS and self.sent >= self.goal * (len(self.memory) + 1) / TENTHS:
            self.memory.append(self.weigh())
            Console(stderr=True).print(f"{self.sent / 3600:.1f} h of audio: {self.memory[-1]:.1f} MB")


def held(process: int) -> float:
    """Megabytes of a process and of its children."""
    parent = psutil.Process(process)
    return sum(one.memory_full_info().pss for one in (parent, *parent.children(recursive=True))) / 1e6


async def talk(url: str, recordings: list[Recording], seconds: float, progress: Progress, seed: int) -> None:
    """One stream of so many seconds.

    Raises:
        ConnectionResetError: the server ended it with an error.
    """
    generator = random.Random(seed)
    pause = bytes(2 * int(PAUSE_SECONDS * audio.SAMPLE_RATE))
    size = 2 * int(PIECE_SECONDS * audio.SAMPLE_RATE)
    async with connect(url.replace("http", "ws", 1) + "/v1/stream", compression=None, ping_timeout=None) as socket:
        await socket.send(json.dumps({"type": "config", "sample_rate": audio.SAMPLE_RATE}))

        async def hear() -> None:
            while (said := json.loads(await socket.recv()))["type"] != "done":
                if said["type"] == "error":
                    raise ConnectionResetError(said["error"]["message"])
                progress.utterances += said["type"] == "final"

        hearing, spoken = asyncio.create_task(hear()), 0.0
        while spoken < seconds and not hearing.done():
            pcm = generator.choice(recordings).pcm + pause
            for at in range(0, len(pcm), size):
                await socket.send(pcm[at : at + size])
                progress.add(len(pcm[at : at + size]) / 2 / audio.SAMPLE_RATE)
            spoken += len(pcm) / 2 / audio.SAMPLE_RATE
        await socket.send(json.dumps({"type": "finish"}))
        await hearing


async def soak(url: str, process: int, recordings: list[Recording], hours: float, streams: int, seed: int) -> Progress:
    """All streams at once, to a server in a process."""
    progress = Progress(hours * 3600, lambda: held(process))
    await asyncio.gather(
        *(talk(url, recordings, hours * 3600 / streams, progress, seed + number) for number in range(streams))
    )
    return progress


def main() -> None:
    """Run it, and print memory by tenths of the way."""
    parser = arguments(__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="of audio, all streams together")
    parser.add_argument("--streams", type=int, default=4, help="connections at a time")
    parser.add_argument("--recordings", type=int, default=50, help="different recordings to use")
    given = parser.parse_args()
    recordings = choose(given.speech, given.recordings, 15.0, random.Random(given.seed))
    started = time.perf_counter()
    with server(given.model, given.streams, given.workers) as (url, process):
        progress = asyncio.run(soak(url, process, recordings, given.hours, given.streams, given.seed))
    table = Table("audio (h)", "memory (MB)")
    for tenth, memory in enumerate(progress.memory, start=1):
        table.add_row(f"{given.hours * tenth / TENTHS:.1f}", f"{memory:.1f}")
    Console().print(table)
    first, last = progress.memory[0], float(np.mean(progress.memory[-2:]))
    print(
        f"{progress.sent / 3600:.1f} h in {(time.perf_counter() - started) / 60:.1f} min, {progress.utterances} "
        f"utterances; memory at the end is {last / first - 1:+.1%} of that after a tenth"
    )


if __name__ == "__main__":
    main()
