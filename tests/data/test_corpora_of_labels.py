"""Corpora of annotations: Praat's TextGrids, ELAN's files, Audacity's label tracks."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from steno.cli.app import app
from steno.data.corpora import Wanted
from steno.data.corpora.prepare import Prepared, prepare
from steno.decoding.transcript import Transcript, Word
from steno.errors import ManifestError
from steno.runtime.alignment import to_textgrid

RATE = 16_000

Tiers = dict[str, list[tuple[object, object, str]]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with ten seconds of noise, ``talk.wav``."""
    soundfile.write(tmp_path / "talk.wav", np.random.default_rng(1).normal(0, 0.1, 10 * RATE), RATE)
    return tmp_path


def said(prepared: Prepared) -> list[tuple[str, str, str | None]]:
    """The part, the text and the speaker of each row."""
    return [(row.audio.name, row.text or "", row.speaker) for row in prepared.utterances]


def left_out(prepared: Prepared, home: Path) -> list[str]:
    return [str(problem).replace(f"{home}/", "") for problem in prepared.problems]


def take(home: Path, *tiers: str) -> Prepared:
    return prepare(home, wanted=Wanted(tiers=tiers))


# ---- Praat --------------------------------------------------------------------------------------------


def long_grid(tiers: Tiers, points: str = "TextTier") -> str:
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 ", "xmax = 10 "]
    lines += ["tiers? <exists> ", f"size = {len(tiers)} ", "item []: "]
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier" ', f'        name = "{name}" ']
        lines += ["        xmin = 0 ", "        xmax = 10 ", f"        intervals: size = {len(intervals)} "]
        for place, (start, end, label) in enumerate(intervals, start=1):
            quoted = label.replace('"', '""')
            lines += [f"        intervals [{place}]:", f"            xmin = {start} ", f"            xmax = {end} "]
            lines += [f'            text = "{quoted}" ']
    return "\n".join(lines) + "\n"


def short_grid(tiers: Tiers) -> str:
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "10", "<exists>", str(len(tiers))]
    for name, intervals in tiers.items():
        lines += ['"IntervalTier"', f'"{name}"', "0", "10", str(len(intervals))]
        for start, end, label in intervals:
            quoted = label.replace('"', '""')
            lines += [str(start), str(end), f'"{quoted}"']
    return "\n".join(lines)


ONE: Tiers = {
    "said": [
        ("-0", "2.7e-05", "<p:>"),
        ("2.7e-05", 1.5, 'He said "yes"! Twice.'),
        (1.5, 2, ""),
        (2, 3, "sil"),
        (3, 4.25, "It’s\nlate 5 IntervalTier"),
        (4.25, 10, "SP"),
    ],
    "empty": [(0, 10, " ")],
    "none": [],
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("form", [long_grid, short_grid])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_textgrid_in_each_form_and_encoding(home: Path, form, encoding: str, end: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    data = (mark + form(ONE)).replace("\n", end).encode(encoding)
    (home / "talk.TextGrid").write_bytes(data)
    for source in (home, home / "talk.TextGrid"):
        prepared = prepare(source)
        assert prepared.format == "labels"
        assert said(prepared) == [
            ("talk.wav#t=0.000027,1.5", "he said yes twice", None),
            ("talk.wav#t=3,4.25", "it's late 5 intervaltier", None),
        ]
        assert prepared.problems == []
        assert prepared.utterances[1].duration == 1.25


def test_tiers_of_points_and_comments_are_passed_over(home: Path) -> None:
    grid = short_grid({"said": [(0, 1, "yes ! no")]}).replace("<exists>\n1", '<exists> ! "tiers"\n2')
    (home / "talk.TextGrid").write_text(grid + '\n"TextTier"\n"clicks"\n0\n10\n2\n1.5\n"here"\n2.5\n"IntervalTier"\n')
    assert said(prepare(home)) == [("talk.wav#t=0,1", "yes no", None)]
    assert left_out(take(home, "clicks"), home) == ["talk.TextGrid: has no tier 'clicks' of intervals; it has 'said'"]


TWO: Tiers = {"ann": [(0, 1, "yes"), (1, 10, "")], "ben b": [(0, 2, "no"), (2, 3, "never")], "notes": [(0, 10, "")]}


@pytest.mark.parametrize("form", [long_grid, short_grid])
def test_of_several_tiers_those_with_utterances_are_named(home: Path, form) -> None:
    (home / "talk.TextGrid").write_text(form(TWO))
    assert left_out(prepare(home), home) == [
        "talk.TextGrid: several tiers have text: say with --tier which of 'ann', 'ben b' hold utterances"
    ]
    assert said(take(home, "ann")) == [("talk.wav#t=0,1", "yes", None)]
    prepared = take(home, "ben b", "ann")
    assert said(prepared) == [
        ("talk.wav#t=0,1", "yes", "ann"),
        ("talk.wav#t=0,2", "no", "ben b"),
        ("talk.wav#t=2,3", "never", "ben b"),
    ]
    prepared = take(home, "ann", "Ann")
    assert said(prepared) == [("talk.wav#t=0,1", "yes", "ann")]
    assert left_out(prepared, home) == ["talk.TextGrid: has no tier 'Ann' of intervals; it has 'ann', 'ben b', 'notes'"]


def test_what_begins_at_minus_nothing_begins_at_the_beginning(home: Path) -> None:
    (home / "talk.TextGrid").write_text(short_grid({"said": [("-0", 1, "yes")]}))
    assert said(prepare(home)) == [("talk.wav#t=0,1", "yes", None)]


def test_a_bad_interval_costs_no_other(home: Path) -> None:
    intervals: list[tuple[object, object, str]] = [
        ("--", 1, "no start"),
        (1, 2, "good"),
        (2, "", "no end"),
        (5, 3, "backwards"),
        (-1, 1, "early"),
        (6, 6, "short"),
        (7, 8, "a <unk> word"),
        (8, 9, "spn"),
        (9, 12, "too late"),
    ]
    for form in (long_grid, short_grid):
        (home / "talk.TextGrid").write_text(form({"said": intervals, "none": []}))
        prepared = prepare(home)
        assert said(prepared) == [("talk.wav#t=1,2", "good", None)]
        where = "talk.TextGrid, tier 'said', interval"
        assert left_out(prepared, home) == [
            f"{where} 1: its times cannot be read: mend it in Praat",
            f"{where} 3: its times cannot be read: mend it in Praat",
            f"{where} 4: ends at 3 s and begins at 5 s",
            f"{where} 5: begins at -1 s, before the recording",
            f"{where} 6: is a point at 6 s: give it an end",
            f"{where} 7: has a word that nobody understood",
            f"{where} 8: has a word that nobody understood",
            f"{where} 9: talk-9.00-12.00: talk.wav#t=9,12: the recording ends at 10.00 s",
        ]


def test_a_label_that_is_not_utf8_is_left_out(home: Path) -> None:
    grid = long_grid({"said": [(0, 1, "café"), (1, 2, "yes")]})
    (home / "talk.TextGrid").write_bytes(grid.encode("latin-1"))
    prepared = prepare(home)
    assert said(prepared) == [("talk.wav#t=1,2", "yes", None)]
    assert left_out(prepared, home) == [
        "talk.TextGrid, tier 'said', interval 1: the text is not UTF-8, or was damaged before"
    ]


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (0, "talk.TextGrid: is not a TextGrid as text: save it in Praat as a text file"),
        (4, "talk.TextGrid: has no tiers of intervals"),
        (7, "talk.TextGrid: is damaged: announces 2 tiers and has 0"),
        (12, "talk.TextGrid: is damaged: announces 2 tiers and has 1"),
        (-1, "talk.TextGrid, tier 'b': is damaged: announces 2 intervals and has 1"),
        (-2, "talk.TextGrid, tier 'b': is damaged: announces 2 intervals and has 1"),
        (-4, "talk.TextGrid, tier 'b': is damaged: announces 2 intervals and has 0"),
        (-7, "talk.TextGrid, tier 'b': is damaged: the file ends in its head"),
        (-10, "talk.TextGrid, tier '': is damaged: the file ends in its head"),
    ],
)
def test_a_textgrid_that_is_cut_says_so(home: Path, kept: int, reason: str) -> None:
    lines = short_grid({"a": [(0, 1, "")], "b": [(0, 1, "yes"), (1, 10, "no")]}).split("\n")
    (home / "talk.TextGrid").write_text("\n".join(lines[:kept]))
    problems = left_out(take(home, "b"), home)
    assert reason in problems or reason in left_out(prepare(home), home)


def test_a_binary_textgrid_is_to_be_saved_as_text(home: Path) -> None:
    (home / "talk.TextGrid").write_bytes(b"ooBinaryFile\x08TextGrid" + bytes(40))
    assert left_out(prepare(home), home) == [
        "talk.TextGrid: is not a TextGrid as text: save it in Praat as a text file"
    ]


def test_what_was_aligned_comes_back(home: Path) -> None:
    words = [Word(text, at, at + 0.4, 0.9, ()) for text, at in (("yes", 1.0), ("no", 1.5), ("never", 6.0))]
    (home / "talk.TextGrid").write_text(to_textgrid(Transcript("yes no never", tuple(words)), 10.0))
    assert "say with --tier which of 'utterances', 'words' hold utterances" in left_out(prepare(home), home)[0]
    assert said(take(home, "utterances")) == [("talk.wav#t=1,2", "yes no", None), ("talk.wav#t=6,7", "never", None)]
    assert [text for _, text, _ in said(take(home, "words"))] == ["yes", "no", "never"]


# ---- ELAN ---------------------------------------------------------------------------------------------

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
    <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1750"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/>
    <TIME_SLOT TIME_SLOT_ID="ts4"/>
    <TIME_SLOT TIME_SLOT_ID="ts5" TIME_VALUE="12000"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="u" PARTICIPANT="Anna" TIER_ID="A">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>Tom &amp; I</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts4">
      <ANNOTATION_VALUE>open</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts5">
      <ANNOTATION_VALUE>late</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="u" TIER_ID="B">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE>yes</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a5" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="t" PARENT_REF="A" PARTICIPANT="Anna" TIER_ID="words">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a6" ANNOTATION_REF="a1">
      <ANNOTATION_VALUE>tom and me</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a7" ANNOTATION_REF="a3">
      <ANNOTATION_VALUE>la</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a8" ANNOTATION_REF="a3" PREVIOUS_ANNOTATION="a7">
      <ANNOTATION_VALUE>te</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a9" ANNOTATION_REF="a9">
      <ANNOTATION_VALUE>loop</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="u" TIER_ID="notes"/>
</ANNOTATION_DOCUMENT>
"""


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
def test_elan(home: Path, encoding: str) -> None:
    (home / "talk.eaf").write_bytes(EAF.replace('"UTF-8"', f'"{encoding}"').encode(encoding))
    for source in (home, home / "talk.eaf"):
        prepared = prepare(source)
        assert prepared.format == "labels"
        assert said(prepared) == [
            ("talk.wav#t=0.5,1.75", "tom i", "Anna"),
            ("talk.wav#t=1.75,2", "yes", "B"),
        ]
        assert left_out(prepared, home) == [
            "talk.eaf, tier 'A', annotation a2: has no times: align it in ELAN",
            "talk.eaf, tier 'A', annotation a3: talk-2.00-12.00: talk.wav#t=2,12: the recording ends at 10.00 s",
        ]


def test_tiers_of_elan_that_hang_on_others(home: Path) -> None:
    (home / "talk.eaf").write_text(EAF)
    prepared = take(home, "words")
    assert said(prepared) == [("talk.wav#t=0.5,1.75", "tom and me", "Anna")]
    shared = "shares its times with others: take the tier above"
    assert left_out(prepared, home) == [
        f"talk.eaf, tier 'words', annotation a7: {shared}",
        f"talk.eaf, tier 'words', annotation a8: {shared}",
        "talk.eaf, tier 'words', annotation a9: refers to a9, which leads to no annotation with times",
    ]
    prepared = take(home, "B", "C")
    assert said(prepared) == [("talk.wav#t=1.75,2", "yes", "B")]
    assert left_out(prepared, home) == ["talk.eaf: has no tier 'C' of intervals; it has 'A', 'B', 'words', 'notes'"]


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (["talk.mp4"], "talk.wav#t=2.75,3"),
        (["other.wav"], "talk.wav#t=1.75,2"),
        (["talk.mp4", "talk.wav"], "talk.wav#t=3.75,4"),
    ],
)
def test_a_recording_that_elan_shifted(home: Path, media: list[str], part: str) -> None:
    described = "".join(
        f'<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/a%20b/{name}" TIME_ORIGIN="{number}000"/>'
        for number, name in enumerate(media, start=1)
    )
    header = '<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"'
    (home / "talk.eaf").write_text(EAF.replace(f"{header}/>", f"{header}>{described}</HEADER>"))
    assert said(take(home, "B")) == [(part, "yes", None)]


def test_a_tier_at_the_top_without_text_is_a_question(home: Path) -> None:
    (home / "talk.eaf").write_text(EAF.replace("PARENT_REF", "X").replace('TIER_ID="', 'PARENT_REF="Z" TIER_ID="'))
    assert left_out(prepare(home), home) == [
        "talk.eaf: no tier at the top has text: say with --tier which of 'A', 'B', 'words', 'notes' hold utterances"
    ]


BOMB = """<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>
<ANNOTATION_DOCUMENT>&c;</ANNOTATION_DOCUMENT>
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "has a DOCTYPE, which ELAN does not write: take it out"),
        (
            '<!DOCTYPE x SYSTEM "file:///etc/hostname"><ANNOTATION_DOCUMENT/>',
            "has a DOCTYPE, which ELAN does not write: take it out",
        ),
        ("<ANNOTATION_DOCUMENT><TIER>", "is not XML: no element found: line 1, column 27"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "is not XML: unknown encoding: klingon"),
        ("<html/>", "is not ELAN's, whose XML is an ANNOTATION_DOCUMENT"),
        (EAF.replace("milliseconds", "PAL-frames"), "counts time in PAL-frames: save it with milliseconds"),
        ("<ANNOTATION_DOCUMENT/>", "has no tiers of intervals"),
    ],
)
def test_xml_that_is_hostile_or_not_elans(home: Path, text: str, reason: str) -> None:
    (home / "talk.eaf").write_bytes(text.encode())
    assert left_out(prepare(home), home) == [f"talk.eaf: {reason}"]


# ---- Audacity -----------------------------------------------------------------------------------------

TRACK = (
    "0.500000\t1.750000\tYes, there are 2\n"
    "\\\t100.000000\t3000.000000\n"
    "2.000000\t2.000000\tclick\n"
    "3.0\t4.0\t\n"
    "x\t4.0\tno start\n"
    "just words\n"
    "5,25\t6,5\tno\tway\n"
)


def test_labels_of_audacity(home: Path) -> None:
    (home / "talk.txt").write_text(TRACK)
    for source in (home, home / "talk.txt"):
        prepared = prepare(source)
        assert prepared.format == "labels"
        assert said(prepared) == [
            ("talk.wav#t=0.5,1.75", "yes there are 2", None),
            ("talk.wav#t=5.25,6.5", "no way", None),
        ]
        spelt = "is not a time, which is spelt 12.5 or 0:00:12.5"
        assert left_out(prepared, home) == [
            "talk.txt:3: is a point at 2 s: give it an end",
            f"talk.txt:5: 'x' {spelt}",
            f"talk.txt:6: 'just words' {spelt}",
        ]
    assert left_out(take(home, "said"), home) == ["talk.txt: is a text, which has no tiers: leave --tier out"]


def test_one_text_a_recording_and_labels_are_told_apart(home: Path) -> None:
    soundfile.write(home / "note.wav", np.zeros(RATE), RATE)
    (home / "note.txt").write_text("1 2 three 4\t5 six\n")
    assert prepare(home).format == "folder"
    (home / "talk.txt").write_text(TRACK)
    with pytest.raises(ManifestError, match="may be any of: folder, labels") as caught:
        prepare(home)
    assert "the rest is then named and left out" in caught.value.hint
    assert left_out(prepare(home, format="folder"), home) == [
        "talk.txt: is not one text, but labels with their times, which --format labels takes"
    ]
    assert "note.txt: has no lines of START, END and TEXT between tabs; --format folder takes whole texts" in left_out(
        prepare(home, format="labels"), home
    )
    (home / "note.txt").unlink()
    prepared = prepare(home)
    assert prepared.format == "labels"
    assert "note.wav: the recording has no transcript" in left_out(prepared, home)


def test_a_table_whose_rows_begin_with_times_is_a_table(home: Path) -> None:
    (home / "calls.txt").write_text("start\tend\tfile\ttext\n1\t2\ttalk.wav\tyes\n")
    assert prepare(home / "calls.txt").format == "table"


# ---- options ------------------------------------------------------------------------------------------


def test_tiers_of_what_has_none_are_refused(home: Path) -> None:
    (home / "talk.TextGrid").write_text(long_grid(ONE))
    for name in ("folder", "table", "subtitles"):
        with pytest.raises(ManifestError, match=f"--tier does not go with --format {name}"):
            prepare(home, format=name, wanted=Wanted(tiers=("said",)))
    with pytest.raises(ManifestError, match="--tier does not go with --path-column"):
        prepare(home, wanted=Wanted(path="file", tiers=("said",)))
    (home / "t.csv").write_text("file,text\ntalk.wav,yes\n")
    with pytest.raises(ManifestError, match="has no tiers that --tier could name"):
        prepare(home / "t.csv", wanted=Wanted(tiers=("said",)))


def test_the_command_takes_several_tiers(home: Path) -> None:
    (home / "talk.TextGrid").write_text(long_grid(TWO))
    out = home / "m.jsonl"
    ran = CliRunner().invoke(app, ["data", "prepare", str(home), "--out", str(out), "--tier", "ann", "--tier", "ben b"])
    assert ran.exit_code == 0, ran.output
    assert out.read_text().count('"speaker":"ben b"') == 2


def test_a_file_without_its_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "alone.TextGrid").write_text(long_grid(ONE))
    prepared = prepare(tmp_path / "alone.TextGrid")
    assert left_out(prepared, tmp_path) == ["alone.TextGrid: the transcript has no recording beside it"]
