"""`steno data label`: from recordings to a manifest, over the API that its page uses."""

import io
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from labeller import Labelling
from waiting import wait_for

from steno import audio
from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.runtime import Recognizer

Label = Callable[..., Labelling]
Recordings = dict[str, Utterance]


def test_from_recordings_to_a_manifest(recordings: Recordings, label: Label, model: Path, tmp_path: Path) -> None:
    running = label("recordings", "--to", "out.jsonl", "--model", model)
    told = wait_for(lambda: (found := running.session())["progress"]["complete"] and found, 30)
    assert [item["id"] for item in told["items"]] == ["first", "second", "third"]
    assert all(0 < item["confidence"] <= 1 for item in told["items"])
    assert "broken.wav" in told["progress"]["problems"][0]
    piece = running.client.get("/api/items/0").json()
    samples = audio.load(recordings["first"].audio)
    assert piece["draft"]["text"] == Recognizer(model).transcribe([samples])[0].text == "ab cd"
    assert [word["word"] for word in piece["draft"]["words"]] == ["ab", "cd"]
    heard, rate = soundfile.read(io.BytesIO(running.client.get("/api/items/0/audio").content), dtype="float32")
    assert rate == 16_000
    assert np.abs(heard - samples).max() < 1e-3
    answer = running.put(0, text="AB, cd dad.", speaker="anna").json()
    assert (answer["item"]["state"], answer["item"]["text"]) == ("labelled", "ab cd dad")
    assert answer["progress"]["changed"] == pytest.approx(1 / 3, abs=1e-3)
    assert running.put(1, unusable=True).json()["item"]["state"] == "unusable"
    refused = running.put(2, text="xyz", speaker=None)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unknown_characters")
    code, out, err = running.stop(signal.SIGINT)
    assert code == 0
    assert "out.jsonl: 1 labelled" in out
    assert "the drafts had a WER of 33.3% against it (3 words)" in out
    assert "next: steno data check out.jsonl" in out
    assert "left out recordings/broken.wav" in err
    (row,) = Manifest(tmp_path / "out.jsonl")
    assert (row.text, row.speaker, row.extra) == ("ab cd dad", "anna", {"draft": "ab cd"})
    assert row.audio == tmp_path / "recordings" / "first.wav"


def test_it_goes_on_and_decisions_are_undone(recordings: Recordings, label: Label, tmp_path: Path) -> None:
    blind = ("recordings", "--to", "out.jsonl", "--blind")
    first = label(*blind)
    wait_for(lambda: first.session()["progress"]["complete"], 30)
    first.put(1, text="dcb a")
    first.process.kill()
    second = label(*blind)
    told = wait_for(lambda: (found := second.session())["progress"]["complete"] and found, 30)
    assert [item["state"] for item in told["items"]] == ["open", "labelled", "open"]
    assert second.client.get("/api/items/1").json()["text"] == "dcb a"
    assert second.client.delete("/api/items/1").json()["item"]["state"] == "open"
    code, out, _ = second.stop(signal.SIGTERM)
    assert code == 0
    assert "nothing is labelled yet" in out
    assert not (tmp_path / "out.jsonl").exists()


def test_blind_shows_no_draft_not_even_a_manifests(recordings: Recordings, label: Label, tmp_path: Path) -> None:
    write_manifest(tmp_path / "texts.jsonl", recordings.values())
    running = label("texts.jsonl", "--to", "out.jsonl", "--blind")
    told = wait_for(lambda: (found := running.session())["progress"]["complete"] and found, 30)
    assert told["model"] is None
    assert running.client.get("/api/items/0").json()["draft"] is None
    running.put(0, text="ab cd")
    assert "draft" not in json.loads((tmp_path / "out.jsonl").read_text())
    assert running.session()["progress"]["changed"] is None


def test_a_manifests_texts_are_drafts_and_need_no_model(recordings: Recordings, label: Label, tmp_path: Path) -> None:
    rows = list(recordings.values())
    write_manifest(tmp_path / "texts.jsonl", rows)
    running = label("texts.jsonl", "--to", "out.jsonl")
    wait_for(lambda: running.session()["progress"]["complete"], 30)
    assert [running.client.get(f"/api/items/{n}").json()["draft"]["text"] for n in range(3)] == [
        row.text for row in rows
    ]
    _, _, err = running.stop(signal.SIGINT)
    assert "small-en" not in err


def test_only_its_own_page_may_call_it(recordings: Recordings, label: Label, tmp_path: Path) -> None:
    running = label("recordings", "--to", "out.jsonl", "--blind")
    wait_for(lambda: running.session()["items"], 30)
    body = {"text": "ab"}
    foreign = running.client.put("/api/items/0", json=body, headers={"origin": "https://example.org"})
    rebound = running.client.put("/api/items/0", json=body, headers={"host": "example.org"})
    assert (foreign.status_code, rebound.status_code) == (403, 421)
    assert running.client.get("/api/items/99").status_code == 404
    assert running.client.get("/api/session?since=x").status_code == 400
    for bad in (b"nothing", b"[]", b'{"text": 5}', b'{"text": "ab", "speaker": 5}'):
        assert running.client.put("/api/items/0", content=bad).status_code == 400
    assert running.client.put("/api/items/0", content=b" " * 300_000).status_code == 413
    assert running.client.get("/../label.py").status_code == 404
    assert not (tmp_path / "out.jsonl").exists()


def test_a_port_that_is_taken_is_said(recordings: Recordings, tmp_path: Path, steno: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = steno("data", "label", tmp_path / "recordings", "--to", tmp_path / "out.jsonl", "--blind", "--port", port)
    assert ran.code == 2
    assert f"127.0.0.1:{port}" in ran.err
    assert "Choose another --port" in ran.err


def test_what_it_cannot_do_is_said(recordings: Recordings, model: Path, tmp_path: Path, steno: Any) -> None:
    write_manifest(tmp_path / "texts.jsonl", recordings.values())
    folder, to = tmp_path / "recordings", ("--to", tmp_path / "out.jsonl")
    (tmp_path / "other.txt").write_text("nothing\n")
    for arguments, expected in (
        ((folder, *to, "--blind", "--model", model), "--model does nothing"),
        ((tmp_path / "texts.jsonl", *to, "--model", model), "--model does nothing"),
        ((tmp_path / "*.flac", *to), "no recording"),
        ((folder, "--to", "s3://bucket/out.jsonl"), "this machine only"),
        ((folder, "--to", tmp_path / "other.txt", "--blind"), "other.txt:1"),
    ):
        ran = steno("data", "label", *arguments)
        assert ran.code == 2
        assert expected in ran.err
        assert "Traceback" not in ran.err
