"""`steno data record`: over its API, and on its page with a microphone."""

import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny
from chromium import PROGRAM, Chromium
from labeller import Labelling

from steno import audio
from steno.data.manifest import Manifest

SAID = "document.getElementById('said').textContent"
Record = Callable[..., Labelling]


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    (tmp_path / "sentences.txt").write_text("Ab, cd!\nDad.\n")
    return tmp_path / "sentences.txt"


def wav(text: str, seed: int = 0) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tiny.speak(text, seed), tiny.RATE, format="WAV")
    return file.getvalue()


def test_sentences_become_a_manifest(sentences: Path, record: Record, model: Path, tmp_path: Path) -> None:
    running = record("sentences.txt", "--to", "mine", "--speaker", "anna", "--model", model)
    told = running.session()
    assert told["prompts"] == [
        {"shown": "Ab, cd!", "text": "ab cd", "seconds": None},
        {"shown": "Dad.", "text": "dad", "seconds": None},
    ]
    assert running.client.get("/api/prompts/0/take").status_code == 404
    take = running.client.put("/api/prompts/0/take", content=wav("ab cd")).json()
    assert [(word["kind"], word["word"]) for word in take["heard"]] == [("correct", "ab"), ("correct", "cd")]
    heard, rate = soundfile.read(io.BytesIO(running.client.get("/api/prompts/0/take").content))
    assert (rate, len(heard)) == (16_000, len(tiny.speak("ab cd")))
    refused = running.client.put("/api/prompts/1/take", content=b"nothing")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unusable_audio")
    foreign = {"origin": "https://example.org"}
    assert running.client.put("/api/prompts/1/take", content=wav("dad"), headers=foreign).status_code == 403
    assert running.client.put("/api/prompts/9/take", content=wav("dad")).status_code == 404
    code, out, _ = running.stop(signal.SIGINT)
    assert code == 0
    assert "mine/manifest.jsonl: 1 of anna's recordings" in out
    assert "left to read: 1" in out
    again = record("sentences.txt", "--to", "mine", "--speaker", "anna", "--unheard")
    assert [prompt["seconds"] is None for prompt in again.session()["prompts"]] == [False, True]
    assert again.client.put("/api/prompts/1/take", content=wav("dad")).json()["heard"] is None
    assert again.client.delete("/api/prompts/0/take").status_code == 200
    assert [row.text for row in Manifest(tmp_path / "mine" / "manifest.jsonl")] == ["dad"]


def test_what_it_cannot_do_is_said(sentences: Path, model: Path, tmp_path: Path, steno: Any) -> None:
    to = ("--to", tmp_path / "mine")
    for arguments, expected in (
        ((sentences, *to, "--speaker", "a/b", "--unheard"), "--speaker"),
        ((sentences, *to, "--speaker", "anna", "--unheard", "--model", model), "--model does nothing"),
        ((tmp_path / "none.txt", *to, "--speaker", "anna", "--unheard"), "none.txt"),
        ((sentences, "--to", "s3://bucket/mine", "--speaker", "anna"), "this machine only"),
        ((sentences, *to, "--speaker", "anna", "--unheard", "--alphabet", " ab"), "sentences.txt:1"),
    ):
        ran = steno("data", "record", *arguments)
        assert ran.code == 2
        assert expected in ran.err
        assert "Traceback" not in ran.err


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")
def test_a_person_reads(sentences: Path, record: Record, model: Path, tmp_path: Path) -> None:
    running = record("sentences.txt", "--to", "mine", "--speaker", "anna", "--model", model)
    silence = (0.001 * np.random.default_rng(0).standard_normal(2 * tiny.RATE)).astype(np.float32)
    soundfile.write(tmp_path / "voice.wav", np.concatenate([silence[:8000], tiny.speak("ab cd"), silence]), tiny.RATE)
    space = "document.dispatchEvent.call(document.body, new KeyboardEvent('keydown', {key: ' ', bubbles: true}))"
    with Chromium(tmp_path / "voice.wav") as browser:
        browser.open(running.url, width=390, height=844)
        browser.until("document.getElementById('prompt').textContent === 'Ab, cd!'")
        assert browser.run("document.documentElement.scrollWidth") <= 390
        browser.run(space)
        browser.until(f"{SAID} === 'Read now.'")
        browser.until("document.getElementById('level').value > 0.3")
        browser.until("document.getElementById('level').value < 0.3")
        browser.run(space)
        browser.until(f"{SAID}.startsWith('Kept')")
        browser.until("document.getElementById('player').duration > 0.5")
        assert not browser.run("document.getElementById('heard').hidden")
        browser.run("document.getElementById('next').click()")
        browser.until("document.getElementById('prompt').textContent === 'Dad.'")
        browser.run("document.querySelectorAll('#list button')[0].click()")
        browser.until("!document.getElementById('forget').hidden")
        (row,) = Manifest(tmp_path / "mine" / "manifest.jsonl")
        assert np.abs(audio.load(row.audio)).max() > 0.1
        browser.run("document.getElementById('forget').click()")
        browser.until("document.getElementById('forget').hidden")
        assert not (tmp_path / "mine" / "manifest.jsonl").exists()
        assert browser.complaints == []
        hosts = (running.url, "data:", f"blob:{running.url}", "about:blank")
        assert [url for url in browser.requested if not url.startswith(hosts)] == [], json.dumps(browser.requested)
