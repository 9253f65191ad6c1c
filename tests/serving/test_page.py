"""The live page in a real browser: what is spoken into it is what the command line hears."""

import base64
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny
from chromium import PROGRAM, Chromium
from running import KEY, Running

from steno.runtime import Recognizer

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

CAPTIONS = "[...document.querySelectorAll('#captions .word')].map((word) => word.textContent).join(' ')"
STATUS = "document.getElementById('status').textContent"
KEEP_RECORDINGS = """
window.recordings = [];
const make = URL.createObjectURL;
URL.createObjectURL = (blob) => (window.recordings.push(blob), make.call(URL, blob));
"""
RECORDING = """
window.recordings.at(-1).arrayBuffer().then((data) => {
  let text = "";
  for (const byte of new Uint8Array(data)) text += String.fromCharCode(byte);
  return btoa(text);
})
"""


def test_spoken_words_appear_and_files_too(
    server: Running, model: Path, spoken: np.ndarray, steno: Callable[..., Any], tmp_path: Path
) -> None:
    expected = Recognizer(model, threads=1).transcribe([spoken])[0].text
    silence = (0.001 * np.random.default_rng(0).standard_normal(2 * tiny.RATE)).astype(np.float32)
    microphone, file = tmp_path / "microphone.wav", tmp_path / "file.wav"
    soundfile.write(microphone, np.concatenate([silence[: tiny.RATE // 2], spoken, silence]), tiny.RATE)
    soundfile.write(file, spoken, tiny.RATE)
    with Chromium(microphone) as browser:
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=KEEP_RECORDINGS)
        browser.open(server.url)
        browser.until("document.getElementById('model').textContent.includes('tiny')")
        # Captions are partial at first, and Chromium plays the file again and again: on a busy machine with gaps.
        for attempt in range(4):
            browser.run("document.getElementById('mic').click()")
            browser.until(f"{STATUS} === 'Listening.'")
            browser.until("document.getElementById('level').value > 0.3")
            with contextlib.suppress(*([TimeoutError] if attempt < 3 else [])):
                browser.until(f"{CAPTIONS}.includes({json.dumps(expected)})", seconds=30)
                break
            browser.run("document.getElementById('mic').click()")
            browser.until(f"{STATUS} === 'Done.'")
        browser.run("document.getElementById('mic').click()")
        browser.until(f"{STATUS} === 'Done.'")
        browser.until("document.getElementById('player').duration > 1")
        # Gaps or not: the command line hears the same in what was recorded.
        (tmp_path / "recorded.wav").write_bytes(base64.b64decode(browser.run(RECORDING)))
        listened = steno("listen", "--file", tmp_path / "recorded.wav", "--model", model, "--format", "jsonl")
        assert listened.code == 0
        finals = [row["text"] for row in map(json.loads, listened.out.splitlines()) if row["type"] == "final"]
        assert browser.run(CAPTIONS).split() == " ".join(finals).split() != []

        browser.choose("#file", file)
        browser.until(f"{STATUS}.includes('of sound')")
        assert browser.run(CAPTIONS) == expected
        start = browser.run(
            "document.querySelectorAll('.word')[1].click(), document.getElementById('player').currentTime"
        )
        assert 0.3 < start < len(spoken) / tiny.RATE
        saved = browser.run(
            "import('/captions.js').then(({ clock }) => "
            "[clock(3661.0015, ','), document.querySelectorAll('[data-format]:disabled').length])"
        )
        assert saved == ["01:01:01,002", 0]
        assert browser.complaints == []
        hosts = (server.url, server.stream_url, "data:", f"blob:{server.url}")
        assert [url for url in browser.requested if not url.startswith(hosts) and url != "about:blank"] == []


def test_the_page_asks_for_the_key_and_fits_a_phone(strict: Running, spoken: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "file.wav"
    soundfile.write(file, spoken, tiny.RATE)
    with Chromium() as browser:
        browser.open(strict.url, width=390, height=844, dark=True)
        browser.until("document.getElementById('key-dialog').open")
        enter = "document.getElementById('key').value = {!r}; document.querySelector('dialog form').requestSubmit()"
        browser.run(enter.format("wrong-key-0123456789"))
        browser.until("document.getElementById('key-why').textContent === 'That key was not accepted.'")
        browser.run(enter.format(KEY))
        browser.until("document.getElementById('model').textContent.includes('tiny')")
        browser.choose("#file", file)
        browser.until(f"{STATUS}.includes('of sound')")
        assert browser.run(CAPTIONS) == "ab cd"
        assert browser.run("document.documentElement.scrollWidth") == 390
