"""Two processes under torchrun give the losses of one with the same global batch."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import tiny

from steno.data.manifest import Manifest, Utterance, write_manifest

DRIVER = Path(__file__).with_name("driver.py")


def torchrun(
    recipe: Path,
    run_dir: Path,
    losses: Path,
    *more: str,
    send: str = "0@0",
    rank: int = 0,
    options: Sequence[str] = (),
) -> subprocess.CompletedProcess:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    command += [*options, str(DRIVER), "train", str(recipe), "--to", str(run_dir), "--no-track", *more]
    environment = {
        **os.environ,
        "STENO_TEST_LOSSES": str(losses),
        "STENO_TEST_SIGNAL": send,
        "STENO_TEST_RANK": str(rank),
    }
    # A session of its own, so that a hang leaves no process behind.
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def belonging_to(losses: Path) -> list[psutil.Process]:
    """The processes of a run that are still there, those that load its data included."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("STENO_TEST_LOSSES") == str(losses):
                found.append(process)
    return found


def read(losses: Path) -> list[float]:
    return [float(line) for line in losses.read_text().split()]


def test_two_processes_give_the_losses_of_one(tones: Path, tmp_path: Path, train_tiny: Any) -> None:
    """Also where one process holds a bad utterance, a bad file or nothing at all, and after a stop."""
    rows = list(Manifest(tones / "train.jsonl"))[:13]
    short = rows[0]
    (tmp_path / "corrupt.wav").write_bytes(b"nothing")
    rows.append(Utterance("overlong", short.audio, short.duration, "aabb" * 20))
    rows.append(Utterance("corrupt", tmp_path / "corrupt.wav", 0.9, "ab"))
    write_manifest(tmp_path / "train.jsonl", rows)
    changes: dict[str, Any] = {
        "data": {"train": str(tmp_path / "train.jsonl"), "batch_size": 4},
        "model": {"dropout": 0.0},
        "training": {"epochs": 2, "max_bad": 0.5},
        "augment": {"speed": [0.9, 1.0], "mask": {"time_width": 0.2}},
    }
    _, alone = train_tiny("alone", **changes)
    recipe = tiny.write_recipe(tmp_path / "two.yaml", tones, **changes)
    stopped = torchrun(recipe, tmp_path / "two", tmp_path / "losses", send="2@3")
    assert "stopped and saved" in stopped.stderr, stopped.stderr
    done = torchrun(recipe, tmp_path / "two", tmp_path / "losses", "--resume")
    assert done.returncode == 0, done.stderr
    losses = read(tmp_path / "losses")
    assert losses == pytest.approx(alone.losses, rel=1e-5)
    assert stopped.stdout.count("skipped overlong") + done.stdout.count("skipped overlong") >= 1
    assert (tmp_path / "two" / "model" / "model.onnx").is_file()


def test_many_bad_utterances_stop_both_processes(tones: Path, tmp_path: Path) -> None:
    rows = [Utterance(f"gone{n}", tmp_path / f"gone{n}.wav", 1.0, "ab") for n in range(6)]
    write_manifest(tmp_path / "train.jsonl", [*list(Manifest(tones / "train.jsonl"))[:6], *rows])
    changes = {"data": {"train": str(tmp_path / "train.jsonl"), "workers": 1}, "features": {"normalize": "none"}}
    recipe = tiny.write_recipe(tmp_path / "two.yaml", tones, **changes)
    done = torchrun(recipe, tmp_path / "two", tmp_path / "losses")
    assert done.returncode != 0
    assert "could not be used in this epoch" in done.stderr
    assert "exitcode  : 2" in done.stderr
    deadline = time.monotonic() + 30
    while left := belonging_to(tmp_path / "losses"):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.2)


def test_blocks_that_one_process_skips_stop_no_other(tones: Path, tmp_path: Path) -> None:
    model = {"architecture": "conformer", "size": 16, "layers": 3, "heads": 2, "kernel": 3, "stem_channels": 4}
    recipe = tiny.write_recipe(
        tmp_path / "r.yaml", tones, model={**model, "layer_drop": 0.9}, data={"limit": 8}, training={"epochs": 1}
    )
    done = torchrun(recipe, tmp_path / "run", tmp_path / "losses")
    assert done.returncode == 0, done.stderr
    assert all(loss > 0 for loss in read(tmp_path / "losses"))


def test_both_processes_start_from_the_same_model(tones: Path, tmp_path: Path, train_tiny: Any, model: Path) -> None:
    """Weights, and the statistics that the front-end brings features to zero mean with."""
    changes: dict[str, Any] = {
        "data": {"limit": 8},
        "model": {"dropout": 0.0},
        "training": {"epochs": 1, "start_from": str(model)},
        "optimizer": {"lr": 1e-4},
    }
    _, alone = train_tiny("alone", **changes)
    recipe = tiny.write_recipe(tmp_path / "two.yaml", tones, **changes)
    done = torchrun(recipe, tmp_path / "two", tmp_path / "losses")
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "losses") == pytest.approx(alone.losses, rel=1e-5)
