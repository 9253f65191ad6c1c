"""Reports are whole: they load nothing, and hold what they promise, safely."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import soundfile
import tiny
from made import evaluation, measured, spoken

from steno.evaluation.analysis import analyse
from steno.evaluation.compare import compare
from steno.evaluation.measure import LeftOut
from steno.evaluation.report import comparison_report, evaluation_report
from steno.evaluation.report.media import audio_uri, spectrogram_uri
from steno.evaluation.report.svg import Mark, interval_plot

LOADS = {"src", "href", "srcset", "poster", "data", "action", "xlink:href"}
EMPTY = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """Tags with their attributes; complains of what is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def check_loads_nothing(html: str) -> Page:
    page = Page(html)
    for _, attributes in page.tags:
        for key in LOADS & attributes.keys():
            assert (attributes[key] or "").startswith(("data:", "#")), (key, (attributes[key] or "")[:80])
    assert not re.search(r"https?://|url\(|@import|\bfetch\(|XMLHttpRequest", re.sub(r"data:[^\"]*", "", html))
    assert "default-src 'none'" in html
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {(a["href"] or "").removeprefix("#") for tag, a in page.tags if tag == "a"} <= ids
    return page


def test_an_evaluations_report(tmp_path: Path) -> None:
    found = analyse(evaluation(spoken(tmp_path, 12), left_out=[LeftOut("x", "has no text")]))
    html = evaluation_report(found, audio=6)
    page = check_loads_nothing(html)
    assert page.count("audio") == 6
    assert page.count("img") == 6
    assert page.count("svg") == page.count("desc") == 6  # histogram, speaker, duration, rate, ratio, reliability
    assert {f"<h3>{one.scored.id}" for one in found.worst} <= set(re.findall("<h3>u[0-9]+", html))
    for said in ("11.1 %", "over 3 speakers (rough: 3 speakers only)", "Text normalisation", "has no text", "greedy"):
        assert said in html
    assert '<span class="pair substitution" title="substitution"><span>cd</span><span>dd</span></span>' in html
    assert "prefers-color-scheme: dark" in html


def test_no_players_and_no_errors(tmp_path: Path) -> None:
    rows = [measured(str(n), "a b", "a b", speaker=None, confidence=None) for n in range(3)]
    page = check_loads_nothing(evaluation_report(analyse(evaluation(rows)), audio=0))
    assert page.count("audio") == page.count("article") == 0
    assert page.count("svg") == 3


def test_a_recording_that_is_gone_is_told(tmp_path: Path) -> None:
    html = evaluation_report(analyse(evaluation([measured("gone", "a", "b", audio=tmp_path / "gone.wav")])))
    assert "gone.wav: no such file" in html
    assert check_loads_nothing(html).count("audio") == 0


def test_what_users_write_stays_text() -> None:
    evil = '<script>alert(1)</script>"&'
    rows = [measured(f"id{evil}", f"a {evil}", f"b {evil}", speaker=evil)]
    found = evaluation(rows, model=evil, left_out=[LeftOut(evil, evil)])
    for html in (evaluation_report(analyse(found)), comparison_report(compare([found, found]))):
        assert "<script>alert" not in html
        assert check_loads_nothing(html).count("script") == 1


def test_a_comparisons_report(tmp_path: Path) -> None:
    rows = spoken(tmp_path, 12)
    better = [measured(r.scored.id, "ab cd ba", "ab cd ba", audio=r.utterance.audio) for r in rows]
    found = compare([evaluation(rows, "old"), evaluation(better, "new")])
    html = comparison_report(found, audio=2)
    page = check_loads_nothing(html)
    assert page.count("audio") == 2
    assert page.count("article") == 4
    assert page.count("svg") == 2
    assert found.verdict(found.duels[0]).split(":")[0] in html
    tie = comparison_report(compare([evaluation(rows), evaluation(rows)]))
    assert "Nowhere" in tie
    check_loads_nothing(tie)


def test_sound_and_picture_are_what_they_say() -> None:
    samples = tiny.speak("abcd", 1)
    kind, _, data = audio_uri(samples, 16_000).partition(";base64,")
    assert kind == "data:audio/ogg"
    back, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert len(back) / rate == pytest.approx(len(samples) / 16_000, abs=0.01)
    kind, _, data = spectrogram_uri(samples, 16_000).partition(";base64,")
    assert kind == "data:image/png"
    image = pytest.importorskip("matplotlib.image").imread(io.BytesIO(base64.b64decode(data)))
    rows, columns, _ = image.shape
    assert (rows, columns) == (128, pytest.approx(len(samples) / 160, abs=3))
    # The tones a (400 Hz) and d (3200 Hz) are the brightest rows of their times; row 0 is 8 kHz.
    brightness = image[..., :3].sum(axis=2)
    for second, hertz in ((0.1, 400), (0.1 + 3 * 0.14, 3200)):
        assert brightness[:, int(second * 100)].argmax() == pytest.approx(128 * (1 - hertz / 8000), abs=2)


def test_plots_with_nothing_to_span() -> None:
    for signed in (False, True):
        assert "<svg" in interval_plot("empty", [Mark("one", 0.0, None, "0.0 %")], 0.0, signed)
