"""`steno batch` on real speech: its texts, and a driver that is interrupted and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from steno.data.corpora.prepare import prepare
from steno.data.manifest import write_manifest
from steno.runtime import Recognizer
from steno.runtime.files import transcribe_files
from steno.text import ENGLISH

ROOT = os.environ.get("STENO_LIBRISPEECH")
pytestmark = pytest.mark.skipif(ROOT is None, reason="STENO_LIBRISPEECH does not name a LibriSpeech folder")

# A shell that starts tests in the background has them ignore Ctrl-C, and their children too.
COMMAND = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from steno.batch import source; source.PART_SECONDS = 10.0; from steno.cli import main; main()"
)


def test_stopped_twice_every_utterance_is_there_once_with_the_text_of_transcribe(
    tmp_path: Path, train_tiny: Any
) -> None:
    rows = prepare(Path(str(ROOT)) / "dev-clean", format="librispeech").utterances
    rows = rows[:: len(rows) // 160][:160]
    write_manifest(tmp_path / "dev.jsonl", rows)
    write_manifest(tmp_path / "few.jsonl", sorted(rows, key=lambda row: row.duration)[:4])
    model = train_tiny(
        data={name: str(tmp_path / "few.jsonl") for name in ("train", "dev")} | {"batch_seconds": 40},
        tokenizer={"alphabet": ENGLISH},
        features={"n_mels": 40},
        training={"epochs": 4, "checkpoint_seconds": 1000},
    )[0].model
    out, parts = tmp_path / "texts.jsonl", tmp_path / "texts.jsonl.parts"
    command = [sys.executable, "-c", COMMAND, "batch", str(tmp_path / "dev.jsonl")]
    command += ["--model", str(model), "--to", str(out), "--actors", "1"]
    codes, kept = [], []
    for stop, more in ((signal.SIGINT, 2), (signal.SIGKILL, 2), (None, 0)):
        before = {path.name: path.stat().st_mtime_ns for path in parts.glob("part-*")}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
            while stop and len(list(parts.glob("part-*"))) < len(before) + more and driver.poll() is None:
                time.sleep(0.01)
            if stop:
                driver.send_signal(stop)
            said, told = driver.communicate(timeout=300)
        assert "Traceback" not in told
        if stop:
            assert not out.exists()
            assert all((parts / name).stat().st_mtime_ns == changed for name, changed in before.items())
        codes.append(driver.returncode)
        kept.append(len(before))
    assert codes == [130, -signal.SIGKILL, 0]
    assert kept[0] == 0
    assert 2 <= kept[1] < kept[2]
    assert f"{len(rows)} recordings" in said
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in found] == [row.id for row in rows]
    expected = transcribe_files(Recognizer(model), [row.audio for row in rows])
    assert [row["text"] for row in found] == [one.transcript.text for one in expected if one.transcript]
