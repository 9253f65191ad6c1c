"""A million utterances in shards, beside single files: time to the first batch, memory, utterances a second.

The recordings are few clips of coloured noise, repeated under other ids: the loader does not know. They are of a
second, as Ogg/Opus, or with ``--clip wav`` of a tenth of one, so that a whole epoch is read in minutes. Each side runs
in a process of its own and reads, decodes and batches as training does; nothing is trained. There are fewer single
files than utterances in shards, by default: the disk's cache then has an easier time with them.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

RATE = 16_000
CLIPS = 64
BATCH_SECONDS, BATCH_SIZE = 240.0, 64


def make(folder: Path, count: int, files: int, clip: str) -> None:
    """Write the clips, the shards of ``count`` utterances and a manifest of ``files`` of them as single files."""
    from steno.data.manifest import Manifest, Utterance, write_manifest
    from steno.data.noise import coloured_noise
    from steno.data.shards.write import shard

    generator = np.random.default_rng(1)
    clips = []
    for number in range(CLIPS):
        seconds = float(generator.uniform(0.8, 1.2)) * (1.0 if clip == "opus" else 0.1)
        samples = coloured_noise(int(seconds * RATE), 1.0, generator)
        path = folder / f"clip{number}.{clip}"
        sound = 0.1 * samples / np.abs(samples).max()
        if clip == "opus":
            soundfile.write(path, sound, RATE, format="OGG", subtype="OPUS", compression_level=0.97)
        else:
            soundfile.write(path, sound, RATE)
        clips.append((path, soundfile.info(path).frames / RATE))
    rows = (Utterance(f"u{n}", *clips[n % CLIPS], "a sentence of ordinary length") for n in range(count))
    write_manifest(folder / "all.jsonl", rows)
    started = time.perf_counter()
    done = shard(Manifest(folder / "all.jsonl"), folder / "shards", size=64_000_000)
    index = (folder / "shards" / "index.safetensors").stat().st_size / 1e6
    print(f"{done.utterances:,} utterances in {done.shards} shards of {done.bytes / 1e9:.2f} GB, index {index:.0f} MB")
    print(f"written in {time.perf_counter() - started:.0f} s")
    singles = []
    for n in range(files):
        path, seconds = clips[n % CLIPS]
        single = folder / "files" / f"{n % 1000:03d}" / f"u{n}{path.suffix}"
        single.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, single)
        singles.append(Utterance(f"u{n}", single, seconds, "a sentence of ordinary length"))
    write_manifest(folder / "files.jsonl", singles)


def load(data: Path, seconds: float, workers: int) -> None:
    """Load batches for so long, and print what was measured as JSON."""
    begun = time.perf_counter()
    from steno.data.batching import plan_batches
    from steno.data.loading import BatchLoader, UtteranceDataset
    from steno.data.manifest import Manifest
    from steno.text import TokenizerConfig

    imported = time.perf_counter()
    manifest = Manifest(data)
    opened = time.perf_counter()
    batches = plan_batches(
        manifest.durations,
        np.arange(len(manifest)),
        batch_seconds=BATCH_SECONDS,
        batch_size=BATCH_SIZE,
        seed=1,
        number=0,
        shard_starts=manifest.shard_starts,
    )
    planned = time.perf_counter()
    loader = BatchLoader(UtteranceDataset(manifest, TokenizerConfig().build()), workers)
    utterances, first, resident = 0, 0.0, []
    for number, batch in enumerate(loader.load(batches)):
        now = time.perf_counter()
        first = first or now
        if number:
            utterances += len(batch.indices_b)
        if number % 50 == 0:
            resident.append(memory())
        if now - first > seconds:
            break
    print(
        json.dumps(
            {
                "utterances": len(manifest),
                "import": imported - begun,
                "open": opened - imported,
                "plan": planned - opened,
                "first": first - begun,
                "rate": utterances / (now - first),
                "share": utterances / len(manifest),
                "resident_start": resident[0],
                "resident_end": resident[-1],
                "resident_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def memory() -> float:
    """Resident megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Make the data, measure both sides in turns, print a table, and delete the data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=100_000, help="of them, as single files")
    parser.add_argument("--clip", choices=("opus", "wav"), default="opus")
    parser.add_argument("--seconds", type=float, default=60.0, help="of loading, a side and a turn")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="for the data, about 5 GB a million; a temporary one by default")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        load(options.load, options.seconds, workers=0)
        return
    with tempfile.TemporaryDirectory(prefix="steno-shards-", dir=options.folder) as scratch:
        folder = Path(scratch)
        make(folder, options.utterances, options.files, options.clip)
        sides = {"single files": folder / "files.jsonl", "shards": folder / "shards"}
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for turn in range(options.turns):
            for name in sorted(sides, reverse=bool(turn % 2)):
                command = [sys.executable, __file__, "--load", str(sides[name]), "--seconds", str(options.seconds)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rows[name].append(json.loads(done.stdout))
    table = Table("", *rows, title="one loader, no worker processes; of several turns the median")
    for key, label in (
        ("utterances", "utterances"),
        ("import", "import, s"),
        ("open", "open the manifest or the index, s"),
        ("plan", "plan the epoch, s"),
        ("first", "time to the first batch, all of the above, s"),
        ("rate", "utterances a second"),
        ("share", "share of an epoch that was loaded"),
        ("resident_start", "resident at the first batch, MB"),
        ("resident_end", "resident at the last batch, MB"),
        ("resident_peak", "resident at its peak, MB"),
    ):
        medians = [float(np.median([row[key] for row in found])) for found in rows.values()]
        table.add_row(label, *(f"{value:,.0f}" if value >= 100 else f"{value:.2f}" for value in medians))
    Console().print(table)


if __name__ == "__main__":
    main()
