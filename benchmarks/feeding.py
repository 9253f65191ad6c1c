"""Can 64 devices be fed? Measured reading and decoding of shards, and a simulation of as many consumers with them.

    python benchmarks/feeding.py
    python benchmarks/feeding.py --manifest train.jsonl --rate 1500 --consumers 64 --link-gbit 25

First, measured here: bytes of an hour of speech in each encoding, how fast one core reads members from shards, and how
long it takes to decode an utterance. Then, simulated: consumers that step together, as data-parallel training does,
each with its own loader processes, all behind one link to the store. Every utterance of a batch takes the time and
the bytes of one that was measured, drawn by chance. The audio that a device takes a second (`--rate`) is an
assumption: put in what `benchmarks/families_throughput.py` prints on yours.

The model: loader w of a consumer makes batches w, w + W, w + 2W, …; it begins one when it has made the one before
and no more than `--ahead` batches a loader wait; bytes come over the link one batch after the other; a step begins
when every consumer has its batch. What is left out: the store's latency, caches, and cores that are shared.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
import typer

from steno.cli.app import guarded

if TYPE_CHECKING:
    from steno.data.manifest import Manifest
    from steno.data.shards.encode import Encoding

Floats = npt.NDArray[np.float64]
ENCODINGS: tuple["Encoding", ...] = ("flac", "opus")
SPEAKING_SECONDS = (2.0, 16.0)
RATE = 16_000


@dataclass(frozen=True)
class Measured:
    """Utterances of one encoding: seconds of audio, bytes, seconds to decode each (N,); bytes a second of reading."""

    encoding: str
    audio: Floats
    sizes: Floats
    decode: Floats
    read_rate: float

    @property
    def bytes_an_hour(self) -> float:
        """Bytes of an hour of audio."""
        return float(self.sizes.sum() / self.audio.sum() * 3600)

    @property
    def decode_rate(self) -> float:
        """Seconds of audio that one core decodes in a second."""
        return float(self.audio.sum() / self.decode.sum())


@dataclass(frozen=True)
class Setting:
    """What is fed: consumers, audio a second that each takes, its batch in seconds, its loaders, bytes a second."""

    consumers: int
    rate: float
    batch_seconds: float
    loaders: int
    ahead: int
    link: float


@dataclass(frozen=True)
class Fed:
    """Share of the time that devices waited for data, after the first batches; mean bytes a second on the link."""

    waiting: float
    traffic: float


def simulate(measured: Measured, setting: Setting, steps: int, seed: int) -> Fed:
    """Steps of consumers that wait for each other."""
    generator = np.random.default_rng(seed)
    count = max(1, round(setting.batch_seconds / float(measured.audio.mean())))
    consumers, loaders = setting.consumers, setting.loaders
    made = np.zeros((steps, consumers))
    began_step = np.zeros(steps)
    free = now = waited = carried = 0.0
    warm = loaders * setting.ahead
    for step in range(steps):
        drawn = generator.integers(len(measured.audio), size=(consumers, count))
        before = made[step - loaders] if step >= loaders else np.zeros(consumers)
        room = began_step[step - warm] if step >= warm else 0.0
        begin = np.maximum(before, room)
        sizes, decode = measured.sizes[drawn].sum(axis=1), measured.decode[drawn].sum(axis=1)
        for consumer in np.argsort(begin, kind="stable"):
            free = max(free, begin[consumer]) + sizes[consumer] / setting.link
            made[step, consumer] = free + decode[consumer]
        began_step[step] = max(now, float(made[step].max()))
        if step >= warm:
            waited += began_step[step] - now
            carried += float(sizes.sum())
        else:
            start = began_step[step]
        now = began_step[step] + float(measured.audio[drawn].sum(axis=1).max()) / setting.rate
    spent = now - start
    return Fed(waited / spent, carried / spent)


def synthetic(folder: Path, count: int, seed: int) -> Path:
    """A manifest of recordings that cost a codec what speech costs, roughly: shaped noise with pauses."""
    import soundfile

    from steno.data.manifest import Utterance, write_manifest

    generator = np.random.default_rng(seed)
    rows = []
    for n in range(count):
        length = int(generator.uniform(*SPEAKING_SECONDS) * RATE)
        noise = np.cumsum(generator.standard_normal(length))
        noise -= np.convolve(noise, np.ones(160) / 160, mode="same")
        syllables = np.clip(np.sin(2 * np.pi * 3.5 * np.arange(length) / RATE) + 0.3, 0, 1)
        samples = (0.3 * syllables * noise / np.abs(noise).max()).astype(np.float32)
        path = folder / f"noise-{n:04d}.wav"
        soundfile.write(path, samples, RATE)
        rows.append(Utterance(path.stem, path, length / RATE, "noise"))
    write_manifest(folder / "noise.jsonl", rows)
    return folder / "noise.jsonl"


def measure(manifest: "Manifest", encoding: "Encoding", folder: Path) -> Measured:
    """Write shards, and time each utterance's reading and decoding in one thread."""
    from steno import audio
    from steno.data.manifest import Manifest
    from steno.data.shards.write import shard
    from steno.storage.members import read_member

    shard(manifest, folder, encoding=encoding)
    seconds, sizes, decode, reading = [], [], [], 0.0
    for utterance in Manifest(folder):
        began = time.perf_counter()
        data = read_member(utterance.audio)
        reading += time.perf_counter() - began
        worked = time.thread_time()  # of this core alone, whatever else runs on the machine
        samples = audio.load(data)
        decode.append(time.thread_time() - worked)
        sizes.append(len(data))
        seconds.append(len(samples) / audio.SAMPLE_RATE)
    return Measured(encoding, np.array(seconds), np.array(sizes, float), np.array(decode), sum(sizes) / reading)


def main(
    manifest: Annotated[Path | None, typer.Option(help="Speech to measure with; noise is made without it.")] = None,
    utterances: Annotated[int, typer.Option(min=16, help="So many of them.")] = 200,
    consumers: Annotated[int, typer.Option(min=1, help="Devices that step together.")] = 64,
    rate: Annotated[float, typer.Option(min=1, help="Seconds of audio that a device takes a second.")] = 1000.0,
    batch_seconds: Annotated[float, typer.Option(min=1, help="Audio of a device's batch.")] = 600.0,
    ahead: Annotated[int, typer.Option(min=1, help="Batches that a loader makes ahead.")] = 2,
    link_gbit: Annotated[float, typer.Option(min=0.01, help="The link that all share, in Gbit/s.")] = 10.0,
    steps: Annotated[int, typer.Option(min=100, help="Steps to simulate.")] = 400,
    seed: Annotated[int, typer.Option(help="Of the noise and of the simulation.")] = 1,
) -> None:
    """Print what was measured, and how long devices wait with 1, 2, 4, 8 and 16 loaders each."""
    from rich.console import Console
    from rich.table import Table

    from steno.data.manifest import Manifest, write_manifest

    console = Console()
    with tempfile.TemporaryDirectory(prefix="steno-feeding-") as name:
        scratch = Path(name)
        every = list(Manifest(manifest or synthetic(scratch, utterances, seed)))
        write_manifest(scratch / "some.jsonl", every[:: max(1, len(every) // utterances)][:utterances])
        some = Manifest(scratch / "some.jsonl")
        found = [measure(some, encoding, scratch / encoding) for encoding in ENCODINGS]
    told = Table("measured", "MB an hour", "read, MB/s", "decoded a core, audio s/s", "cores for all", "link for all")
    for one in found:
        told.add_row(
            one.encoding,
            f"{one.bytes_an_hour / 1e6:.1f}",
            f"{one.read_rate / 1e6:.0f}",
            f"{one.decode_rate:.0f}",
            f"{consumers * rate / one.decode_rate:.0f}",
            f"{consumers * rate * one.bytes_an_hour / 3600 * 8 / 1e9:.2f} Gbit/s",
        )
    console.print(told)
    waits = Table("simulated", "loaders a device", "devices wait", "on the link")
    for one in found:
        for loaders in (1, 2, 4, 8, 16):
            setting = Setting(consumers, rate, batch_seconds, loaders, ahead, link_gbit * 1e9 / 8)
            fed = simulate(one, setting, steps, seed)
            waits.add_row(one.encoding, str(loaders), f"{fed.waiting:.1%}", f"{fed.traffic * 8 / 1e9:.2f} Gbit/s")
    console.print(waits)
    typer.echo(
        f"{len(some)} utterances, {some.hours:.2f} h measured; {consumers} consumers of {rate:g} audio seconds a "
        f"second (an assumption), batches of {batch_seconds:g} s, a link of {link_gbit:g} Gbit/s, {steps} steps"
    )


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
