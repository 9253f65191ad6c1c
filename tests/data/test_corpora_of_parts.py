"""Corpora whose rows are parts of recordings: tables with times, Kaldi's folders, STM files, subtitles."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from steno import audio
from steno.data.corpora.prepare import Prepared, prepare, save
from steno.data.manifest import Manifest
from steno.errors import ManifestError

RATE = 16_000


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """Ten seconds of two channels, in which each second has its own value."""
    left = np.repeat(np.arange(10) / 100 + 0.01, RATE)
    soundfile.write(tmp_path / "call.wav", np.stack([left, -left], axis=1), RATE, subtype="FLOAT")
    return tmp_path / "call.wav"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def parts(prepared: Prepared) -> dict[str, tuple[str, float, str | None]]:
    """Name of the audio, seconds and text by id."""
    return {row.id: (row.audio.name, row.duration, row.text) for row in prepared.utterances}


def left_out(prepared: Prepared) -> list[str]:
    return [str(problem).split("/")[-1] for problem in prepared.problems]


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ("start,end", "1.5,3", "3,4.25"),
        ("Start_Time,End_Time", "0:01.5,00:00:03", "0:00:03.000,0:04.25"),
        ("begin,stop", "1.5,3", "3,4.25"),
        ("onset,offset", "1.5,3", "3,4.25"),
        ("offset,duration", "1.5,1.5", "3,1.25"),
        ("start_ms,end_ms", "1500,3000", "3000,4250"),
        ("start_ms,duration_ms", "1500,1500", "3000,1250"),
    ],
)
def test_a_table_with_times(header: str, first: str, second: str, call: Path) -> None:
    table = write(call.parent / "t.csv", f"file,{header},text\ncall.wav,{first},yes\ncall.wav,{second},no\n")
    prepared = prepare(table)
    assert parts(prepared) == {
        "call-1.50-3.00": ("call.wav#t=1.5,3", 1.5, "yes"),
        "call-3.00-4.25": ("call.wav#t=3,4.25", 1.25, "no"),
    }
    save(prepared, call.parent / "m.jsonl")
    second_row = Manifest(call.parent / "m.jsonl")[1]
    assert second_row == prepared.utterances[1]
    samples = audio.load(call.parent / "call.wav#t=3,4.25&channel=0")
    assert len(samples) == 1.25 * RATE
    np.testing.assert_allclose(samples[:: RATE // 4], [0.04, 0.04, 0.04, 0.04, 0.05], atol=1e-6)


def test_a_table_with_channels(call: Path) -> None:
    rows = "call.wav,0,yes\ncall.wav,B,no\ncall.wav,2,never\ncall.wav,agent,never\ncall.wav,,both\n"
    prepared = prepare(write(call.parent / "t.csv", "file,channel,text\n" + rows))
    assert parts(prepared) == {
        "call-channel0": ("call.wav#channel=0", 10.0, "yes"),
        "call-channel1": ("call.wav#channel=1", 10.0, "no"),
        "call": ("call.wav", 10.0, "both"),
    }
    assert sorted(left_out(prepared)) == [
        "call.wav#channel=2: the recording has channels 0 to 1",
        "t.csv:5: 'agent' is not a channel: they are numbered from 0, or A and B, or left and right",
    ]
    assert audio.load(prepared.utterances[1].audio)[0] == pytest.approx(0.01)
    assert audio.load(prepared.utterances[2].audio)[0] == pytest.approx(-0.01)


def test_what_is_wrong_with_times_is_named(call: Path) -> None:
    rows = ("3,2", "x,2", "9,10.4", "9.5,11", "12,13")
    table = write(call.parent / "t.csv", "file,start,end,text\n" + "".join(f"call.wav,{row},yes\n" for row in rows))
    prepared = prepare(table)
    assert parts(prepared) == {"call-9.00-10.40": ("call.wav#t=9,10.4", 1.0, "yes")}  # rounded times may overshoot
    assert sorted(left_out(prepared)) == [
        "call.wav#t=12,13: the recording ends at 10.00 s",
        "call.wav#t=9.5,11: the recording ends at 10.00 s",
        "t.csv:2: ends at 2 s and begins at 3 s",
        "t.csv:3: 'x' is not a time, which is spelt 12.5 or 0:00:12.5",
    ]


@pytest.mark.parametrize(
    ("header", "said"), [("start", "the begin of parts, but none for"), ("end", "the end of parts")]
)
def test_half_of_the_times_is_refused(header: str, said: str, call: Path) -> None:
    with pytest.raises(ManifestError, match=said):
        prepare(write(call.parent / "t.csv", f"file,{header},text\ncall.wav,1,yes\n"))


def test_kaldis_data_folder(call: Path) -> None:
    home = call.parent
    data = home / "data" / "train"
    (home / "call.wav").rename(home / "talk.sph")  # libsndfile looks at what is in it
    write(
        data / "wav.scp",
        "talk sph2pipe -f wav -p -c 2 talk.sph |\nabs " + str(home / "talk.sph") + "\nran sox x.wav -r 8k - |\n",
    )
    write(data / "text", "u1 HELLO THERE\nu2 GOOD BYE\nu3 NOBODY\nu4 RAN\nu5 LATE\n")
    write(data / "segments", "u1 talk 1.0 2.5\nu2 abs 4 -1\nu4 ran 0 1\nu5 abs 1\nu6 abs 0 1\n")
    write(data / "utt2spk", "u1 anna\nu2 ben\n")
    prepared = prepare(data)
    assert prepared.format == "kaldi"
    assert parts(prepared) == {
        "u1": ("talk.sph#t=1,2.5&channel=1", 1.5, "hello there"),
        "u2": ("talk.sph#t=4", 6.0, "good bye"),
    }
    assert [row.speaker for row in prepared.utterances] == ["anna", "ben"]
    assert sorted(left_out(prepared)) == [
        "segments:4: a segment is UTTERANCE RECORDING START END",
        "talk.sph#t=0,1: u6: the recording has no transcript",
        "text:3: u3: the transcript has no recording beside it",
        "wav.scp:3: 'sox x.wav -r 8k - |' is a command: run it, and name the file that it makes",
    ]


def test_kaldis_data_folder_without_segments(call: Path) -> None:
    write(call.parent / "d" / "wav.scp", "c flac -c -d -s call.wav |\n")
    write(call.parent / "d" / "text", "c ALL OF IT\n")
    assert parts(prepare(call.parent / "d")) == {"c": ("call.wav", 10.0, "all of it")}


def test_stm(call: Path) -> None:
    home = call.parent
    (home / "sph").mkdir()
    call.rename(home / "sph" / "call.sph")
    transcript = write(
        home / "stm" / "call.stm",
        ";; a comment\n"
        "call 1 anna 1.0 2.0 <o,f0,female> it 's {NOISE} read(2)\n"
        "call B ben 2.0 3.5 no label here\n"
        "call 1 inter_segment_gap 3.5 4.0 <o,,unknown> ignore_time_segment_in_scoring\n"
        "call 1 anna 4.0 5.0 <o,f0,female> a <unk> word\n"
        "other 1 anna 4.0 5.0 <o,f0,female> word\n"
        "call 1 anna\n",
    )
    for source in (home, transcript):
        prepared = prepare(source)
        assert prepared.format == "stm"
        assert parts(prepared) == {
            "call-1.00-2.00-channel0": ("call.sph#t=1,2&channel=0", 1.0, "it's read"),
            "call-2.00-3.50-channel1": ("call.sph#t=2,3.5&channel=1", 1.5, "no label here"),
        }
        assert [row.speaker for row in prepared.utterances] == ["anna", "ben"]
        assert left_out(prepared) == [
            "call.stm:4: is not transcribed",
            "call.stm:5: has a word that nobody understood",
            "call.stm:6: other: the transcript has no recording beside it",
            "call.stm:7: a line is FILE CHANNEL SPEAKER BEGIN END <LABEL> TEXT",
        ]


SRT = """1
00:00:01,000 --> 00:00:02,500
- Good <i>morning</i>, everyone.
- [laughs] Hello!

2
00:00:03,000 --> 00:00:04,000
[music]

3
00:00:05,000 --> 00:00:06,000
MARY ANN: Tom &amp; I (whispering) agree

4
00:00:09,800 --> 00:00:12,000
too late
"""


def test_subtitles(call: Path) -> None:
    write(call.parent / "call.srt", SRT)
    for source in (call.parent, call.parent / "call.srt"):
        prepared = prepare(source)
        assert prepared.format == "subtitles"
        assert parts(prepared) == {
            "call-1.00-2.50": ("call.wav#t=1,2.5", 1.5, "good morning everyone hello"),
            "call-5.00-6.00": ("call.wav#t=5,6", 1.0, "tom i agree"),
        }
        assert left_out(prepared) == [
            "call.srt at 0:00:03.000: call-3.00-4.00: the transcript is empty",
            "call.wav#t=9.8,12: the recording ends at 10.00 s",
        ]


def test_subtitles_of_a_language_and_subtitles_that_are_none(call: Path) -> None:
    write(call.parent / "call.en.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Anna>Hello\n")
    assert parts(prepare(call.parent)) == {"call-1.00-2.00": ("call.wav#t=1,2", 1.0, "hello")}
    write(call.parent / "call.srt", "no cue at all\n")
    prepared = prepare(call.parent, format="subtitles")
    assert left_out(prepared) == ["call.srt: holds no cues of SRT, WebVTT or SSA"]
    write(call.parent / "alone.srt", SRT)
    assert left_out(prepare(call.parent / "alone.srt")) == ["alone.srt: the transcript has no recording beside it"]
