"""`steno batch` on Ray itself: actors on this machine, one of which is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from steno import audio
from steno.data.manifest import Manifest, write_manifest
from steno.runtime import Recognizer

DRIVER = Path(__file__).with_name("driver.py")


def actors(driver: int) -> list[psutil.Process]:
    """The processes of the actors of a run."""
    found = []
    for process in psutil.Process(driver).children(recursive=True):
        try:
            if "ray::MapWorker" in " ".join([process.name(), *process.cmdline()]):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for(what: Callable[[], bool], driver: "subprocess.Popen[str]", seconds: float = 300) -> None:
    """Until it is so, or the driver has ended."""
    end = time.monotonic() + seconds
    while not what() and driver.poll() is None:
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def begin(command: list[object], parts: Path, folder: Path) -> "subprocess.Popen[str]":
    """Start a driver and wait for its first part, or for its end."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    driver = subprocess.Popen(list(map(str, command)), cwd=folder, **pipes)
    wait_for(lambda: bool(list(parts.glob("part-*"))), driver)
    return driver


def test_a_killed_actor_costs_nothing_but_time(tones: Path, model: Path, tmp_path: Path) -> None:
    few = list(Manifest(tones / "train.jsonl"))
    many = [replace(row, id=f"{row.id}-{n}", audio=row.audio.resolve()) for n in range(40) for row in few]
    gone = replace(few[0], id="gone", audio=tmp_path / "gone.wav")
    write_manifest(tmp_path / "many.jsonl", [*many[:100], gone, *many[100:]])
    out = tmp_path / "texts.jsonl"
    command = [sys.executable, DRIVER, "batch", tmp_path / "many.jsonl", "--model", model, "--to", out]
    command += ["--address", "local", "--actors", "2"]
    parts = tmp_path / "texts.jsonl.parts"
    driver = begin(command, parts, tmp_path)
    if driver.poll() is not None:
        # Ray gives itself 30 seconds to start, which on a busy machine is too little; the error says to try again.
        assert "Ray does not start" in driver.communicate()[1]
        driver = begin(command, parts, tmp_path)
    with driver:
        victim = actors(driver.pid)[0]
        os.kill(victim.pid, signal.SIGKILL)
        done = len(list(parts.glob("part-*")))
        said, told = driver.communicate(timeout=300)
    assert done < 300, "the actor was killed after the work was done"
    assert driver.returncode == 1, told
    assert "960 recordings" in said
    assert told.splitlines()[-1] == f"1 of 961 could not be transcribed: {tmp_path / 'texts.failed.jsonl'}"
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == [row.id for row in many]
    transcripts = Recognizer(model).transcribe([audio.load(row.audio) for row in few])
    expected = {row.id: transcript.text for row, transcript in zip(few, transcripts, strict=True)}
    wrong = Counter(row["id"] for row in rows if row["text"] != expected[row["id"].rpartition("-")[0]])
    assert not wrong
    assert json.loads((tmp_path / "texts.failed.jsonl").read_text())["id"] == "gone"
    assert not parts.exists()
