"""Subtitles, CTM and JSON of transcripts."""

import itertools

import pytest

from steno.decoding.transcript import Alternative, Token, Transcript, Word
from steno.runtime.alignment import to_textgrid
from steno.runtime.formats import cues_of, to_ctm, to_dict, to_srt, to_vtt


def said(*times: tuple[str, float, float]) -> Transcript:
    words = tuple(Word(text, start, end, 0.5, (Token(text[0], start, end),)) for text, start, end in times)
    return Transcript(" ".join(word.text for word in words), words)


def test_srt_and_vtt() -> None:
    transcript = said(("hello", 0.5, 0.9), ("world", 1.0, 1.25), ("later", 3661.5, 3662.0))
    assert to_srt(transcript) == (
        "1\n00:00:00,500 --> 00:00:01,500\nhello world\n\n2\n01:01:01,500 --> 01:01:02,500\nlater\n"
    )
    assert to_vtt(transcript).startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nhello world\n")
    assert to_srt(Transcript("")) == ""


def test_cues_are_short_and_hold_every_word() -> None:
    transcript = said(*((f"word{n:03d}", n * 0.4, n * 0.4 + 0.3) for n in range(100)))
    cues = list(cues_of(transcript.words))
    assert " ".join(text.replace("\n", " ") for _, _, text in cues) == transcript.text
    for start, end, text in cues:
        assert end - start <= 6
        assert len(text.splitlines()) <= 2
        assert max(map(len, text.splitlines())) <= 42
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(cues))


def test_ctm_and_json() -> None:
    transcript = Transcript("hi", said(("hi", 0.5, 0.75)).words, (Alternative("hi", -1.0), Alternative("high", -2.0)))
    assert to_ctm(transcript, "talk") == "talk 1 0.50 0.25 hi 0.5000\n"
    found = to_dict(transcript)
    assert found["words"] == [
        {
            "word": "hi",
            "start": 0.5,
            "end": 0.75,
            "confidence": 0.5,
            "characters": [{"text": "h", "start": 0.5, "end": 0.75}],
        }
    ]
    assert found["alternatives"] == [{"text": "hi", "score": -1.0}, {"text": "high", "score": -2.0}]


def test_textgrid_tiers_cover_the_recording_without_gaps() -> None:
    grid = to_textgrid(said(('say "hi"', 0.5, 0.75), ("now", 0.75, 1.0)), 2.0)
    assert 'text = "say ""hi"""' in grid
    assert 'text = "say ""hi"" now"' in grid
    tiers = [
        [float(line.split("=")[1]) for line in tier.splitlines() if line.startswith("            xm")]
        for tier in grid.split("name = ")[1:]
    ]
    assert [len(edges) // 2 for edges in tiers] == [3, 4, 4]
    for edges in tiers:
        assert edges[0] == 0
        assert edges[-1] == 2.0
        assert edges[1:-1:2] == edges[2::2]


def test_cues_are_broken_where_the_pause_is_longest() -> None:
    times, at = [], 0.0
    for sentence in range(3):
        for number in range(10):
            times.append((f"w{sentence}{number}", at, at + 0.25))
            at += 0.35
        at += 0.5
    cues = list(cues_of(said(*times).words))
    assert [text.split()[0] for _, _, text in cues] == ["w00", "w10", "w20"]


def test_a_short_cue_stays_for_a_second_where_there_is_time() -> None:
    ends = [end for _, end, _ in cues_of(said(("a", 0.0, 0.2), ("b", 5.0, 5.2), ("c", 5.9 + 0.2, 6.3)).words)]
    assert ends == pytest.approx([1.0, 6.0, 7.1])


def test_ctm_has_no_spaces_in_its_names() -> None:
    assert to_ctm(said(("hi", 0.5, 0.75)), "my long talk") == "my_long_talk 1 0.50 0.25 hi 0.5000\n"
