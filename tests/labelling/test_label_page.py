"""The page of `steno data label` in a real browser."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium
from labeller import Labelling

from steno.data.manifest import Manifest, Utterance

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

PIECE = "document.getElementById('piece').textContent"
TEXT = "document.getElementById('text').value"
WRONG = "document.getElementById('wrong').textContent"
PROGRESS = "document.getElementById('progress').textContent"


def press(browser: Chromium, name: str) -> None:
    browser.run(f"document.getElementById({json.dumps(name)}).click()")


def write(browser: Chromium, text: str) -> None:
    browser.run(f"{TEXT} = {json.dumps(text)}")


def test_a_person_puts_drafts_right(
    recordings: dict[str, Utterance], label: Callable[..., Labelling], model: Path, tmp_path: Path
) -> None:
    running = label("recordings", "--to", "out.jsonl", "--model", model)
    with Chromium() as browser:
        browser.open(running.url)
        browser.until(f"{PIECE} === 'first' && {TEXT} === 'ab cd'")
        browser.until("document.getElementById('player').duration > 0.5")
        words = "[...document.querySelectorAll('#captions .word')].map((word) => word.textContent).join(' ')"
        assert browser.run(words) == "ab cd"
        browser.until(f"{PROGRESS}.includes('3 in all')")
        write(browser, "ab xyz")
        browser.run("document.getElementById('form').requestSubmit()")
        browser.until(f"{WRONG}.includes('not in the alphabet')")
        assert browser.run(PIECE) == "first"
        write(browser, "ab cd dad")
        browser.run("document.getElementById('speaker').value = 'anna'")
        browser.run("dispatchEvent.call(document, new KeyboardEvent('keydown', {key: 'Enter', ctrlKey: true}))")
        browser.until(f"{PIECE} === 'second'")
        assert browser.run("document.getElementById('speaker').value") == ""
        press(browser, "later")
        browser.until(f"{PIECE} === 'third'")
        press(browser, "unusable")
        browser.until(f"{PIECE} === 'second'")
        browser.run("document.getElementById('form').requestSubmit()")
        browser.until(f"{PIECE} === 'All pieces are decided.'")
        browser.until(f"{PROGRESS}.startsWith('2 labelled')")
        assert "1 unusable" in browser.run(PROGRESS)
        assert "broken.wav" in browser.run("document.getElementById('problems').textContent")
        browser.run("document.querySelectorAll('#list button')[2].click()")
        browser.until(f"{PIECE} === 'third'")
        press(browser, "reopen")
        browser.until(f"!{PROGRESS}.includes('unusable')")
        expected = [complaint for complaint in browser.complaints if "422" not in complaint]
        assert expected == []
        hosts = (running.url, "data:", f"blob:{running.url}", "about:blank")
        assert [url for url in browser.requested if not url.startswith(hosts)] == []
    found = {row.id: (row.text, row.speaker) for row in Manifest(tmp_path / "out.jsonl")}
    assert found == {"first": ("ab cd dad", "anna"), "second": ("dcb a", None)}


def test_it_fits_a_phone_and_says_when_the_server_is_gone(
    recordings: dict[str, Utterance], label: Callable[..., Labelling]
) -> None:
    running = label("recordings", "--to", "out.jsonl", "--blind")
    with Chromium() as browser:
        browser.open(running.url, width=390, height=844, dark=True)
        browser.until(f"{PIECE} === 'first'")
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.run("document.getElementById('heard').hidden")
        running.process.kill()
        running.process.wait()
        write(browser, "ab cd")
        browser.run("document.getElementById('form').requestSubmit()")
        browser.until(f"{WRONG}.includes('Nothing was saved')")
        assert browser.run(TEXT) == "ab cd"
