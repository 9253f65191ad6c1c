"""One form of a model measured in a process of its own, so that its memory is its own.

``python -m steno.export.worker FORM FOLDER THREADS MANIFEST COUNT OUT`` writes OUT, a folder: the log-probabilities
of each utterance, by its number, and ``found.json``.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np

from steno import audio
from steno.data.manifest import Manifest
from steno.errors import AudioError
from steno.export.forms import Form, load
from steno.export.sample import chosen
from steno.runtime.folder import read_config


def main(form: Form, folder: Path, threads: int, manifest: Path, count: int, out: Path) -> None:
    """Measure, and write what was found."""
    started = time.perf_counter()
    hear = load(form, folder, threads)
    load_seconds = time.perf_counter() - started
    rate = read_config(folder).features.sample_rate
    out.mkdir()
    texts: dict[str, str] = {}
    left_out: dict[str, str] = {}
    heard_seconds = wall = cpu = 0.0
    for number, utterance in enumerate(chosen(Manifest(manifest), count)):
        try:
            samples_n = audio.load(utterance.audio, rate)
        except AudioError as error:
            left_out[utterance.id] = error.message
            continue
        if not texts:
            hear(samples_n)  # what is done only once is no part of the speed
        before = time.perf_counter(), time.process_time()
        heard = hear(samples_n)
        wall += time.perf_counter() - before[0]
        cpu += time.process_time() - before[1]
        heard_seconds += len(samples_n) / rate
        texts[utterance.id] = heard.text
        if heard.emission_tv is not None:
            np.save(out / f"{number}.npy", heard.emission_tv)
    found = {
        "load_seconds": load_seconds,
        "audio_seconds": heard_seconds,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "peak_bytes": peak_bytes(),
        "texts": texts,
        "left_out": left_out,
    }
    (out / "found.json").write_text(json.dumps(found), encoding="utf-8")


def peak_bytes() -> int:
    """The most memory that this process ever had resident.

    Linux counts the parent's, too, in ``getrusage``; its own is in ``/proc``.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    from steno.errors import StenoError

    name, folder, threads, manifest, count, out = sys.argv[1:]
    (form,) = (known for known in get_args(Form) if known == name)
    try:
        main(form, Path(folder), int(threads), Path(manifest), int(count), Path(out))
    except StenoError as error:
        sys.exit(str(error))
