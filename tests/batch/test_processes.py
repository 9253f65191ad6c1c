"""`steno batch` without a cluster: processes of this machine, some of which are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from steno.batch import table
from steno.batch.processes import ProcessEngine
from steno.batch.source import Item, ManifestSource
from steno.batch.tasks import Done, Task
from steno.batch.worker import Model, describe
from steno.data.manifest import Manifest, write_manifest
from steno.decoding.options import DecodingOptions
from steno.errors import StenoError

DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture
def described(model: Path) -> tuple[Model, str]:
    sent, name, _ = describe(model, DecodingOptions())
    return sent, name


def items(tones: Path) -> list[Item]:
    return ManifestSource(Manifest(tones / "train.jsonl")).items(0)


def children() -> list[psutil.Process]:
    """The workers of this process."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if "spawn_main" in " ".join(process.cmdline())]


def ids(found: list[Done]) -> dict[int, list[str]]:
    """Ids of each part by the number of its task."""
    return {done.number: table.load(done.part).column("id").to_pylist() for done in found if done.part}


def test_every_task_is_done_once(tones: Path, described: tuple[Model, str]) -> None:
    few = items(tones)[:8]
    tasks = [Task(number, few[number : number + 2]) for number in range(0, 8, 2)]
    found = list(ProcessEngine(*described, 2).run(tasks))
    assert ids(found) == {task.number: [item.id for item in task.items] for task in tasks}
    assert not children()


def test_a_killed_process_costs_nothing_but_time(tones: Path, described: tuple[Model, str]) -> None:
    few = items(tones)[:6]
    killed = []

    def tasks() -> Iterator[Task]:
        for number, item in enumerate(few):
            if number == 3:
                killed.append(children()[0])
                killed[0].kill()
            yield Task(number, [item])

    found = list(ProcessEngine(*described, 2).run(tasks()))
    assert len(killed) == 1
    assert ids(found) == {number: [item.id] for number, item in enumerate(few)}


class Deadly(Item):
    """Ends the process that receives it."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (1,)


def test_what_kills_every_process_is_left_out(tones: Path, described: tuple[Model, str]) -> None:
    few = items(tones)[:3]
    deadly = Deadly("deadly", "deadly.wav", "deadly.wav")
    found = list(ProcessEngine(*described, 1).run([Task(0, [few[0]]), Task(1, [deadly]), Task(2, [few[2]])]))
    assert sorted(done.number for done in found) == [0, 2]


def test_a_model_that_cannot_be_loaded_is_said(tones: Path, described: tuple[Model, str], tmp_path: Path) -> None:
    sent, name = described
    gone = replace(sent, folder=str(tmp_path / "gone"))
    with pytest.raises(StenoError, match=r"a worker process cannot start: .*gone"):
        list(ProcessEngine(gone, name, 2).run([Task(0, items(tones)[:1])]))
    assert not children()


def test_no_process_outlives_a_killed_driver(tones: Path, model: Path, tmp_path: Path) -> None:
    rows = list(Manifest(tones / "train.jsonl"))
    many = [replace(row, id=f"{row.id}-{n}", audio=row.audio.resolve()) for n in range(100) for row in rows]
    write_manifest(tmp_path / "many.jsonl", many)
    command = [sys.executable, DRIVER, "batch", tmp_path / "many.jsonl", "--model", model]
    command += ["--to", tmp_path / "texts.jsonl", "--actors", "2"]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE) as driver:
        while driver.poll() is None and not list((tmp_path / "texts.jsonl.parts").glob("part-*")):
            time.sleep(0.02)
        workers = psutil.Process(driver.pid).children(recursive=True)
        os.kill(driver.pid, signal.SIGKILL)
    assert len(workers) >= 2
    assert not psutil.wait_procs(workers, timeout=60)[1]


def test_mistakes_are_told_before_anything_starts(
    steno: Callable, model: Path, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steno.batch.cluster._start", lambda actors: pytest.fail("Ray was started"))
    monkeypatch.setattr("steno.batch.processes.started", lambda *_: pytest.fail("processes were started"))
    manifest = tones / "dev.jsonl"
    for arguments, said in (
        ((manifest, "--model", model, "--to", tmp_path / "a.csv"), ".parquet or .jsonl"),
        ((manifest, "--model", tmp_path, "--to", tmp_path / "a.jsonl"), "config.yaml"),
        ((tmp_path / "no.jsonl", "--model", model, "--to", tmp_path / "a.jsonl"), "no.jsonl"),
        ((tmp_path / "none", "--model", model, "--to", tmp_path / "a.jsonl"), "neither a recording nor"),
        ((manifest, "--model", model, "--to", tmp_path / "a.jsonl", "--actors", "0"), "--actors"),
        ((manifest, "--model", model, "--to", tmp_path / "a.jsonl", "--decoder", "greedy", "--beam", 3), "--beam"),
    ):
        ran = steno("batch", *arguments)
        assert ran.code == 2, arguments
        assert said in ran.err
        assert "Traceback" not in ran.err
    assert list(tmp_path.iterdir()) == []
