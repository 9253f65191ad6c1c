"""Corpora of every layout become manifests, and what is wrong with them is named."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from steno.cli.app import app
from steno.data.corpora import FORMATS, Wanted, find_format
from steno.data.corpora.delimited import Record, records
from steno.data.corpora.prepare import Prepared, prepare, save
from steno.data.manifest import Manifest
from steno.errors import ManifestError, TextError

Run = Callable[..., tuple[int, str, BaseException | None]]
RNG = np.random.default_rng(7)


def record(path: Path, seconds: float = 0.1, rate: int = 16_000) -> Path:
    """Write a short noise, in the coding that the ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = RNG.normal(0, 0.1, int(seconds * rate)).astype(np.float32)
    if path.suffix == ".opus":
        soundfile.write(path, samples, rate, format="OGG", subtype="OPUS")
    else:
        soundfile.write(path, samples, rate)
    return path


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def texts(prepared: Prepared) -> dict[str, str | None]:
    return {utterance.id: utterance.text for utterance in prepared.utterances}


def problems(prepared: Prepared, root: Path) -> list[str]:
    return [str(problem).replace(f"{root}/", "") for problem in prepared.problems]


# ---- LibriSpeech --------------------------------------------------------------------------------------


@pytest.fixture
def libri(tmp_path: Path) -> Path:
    root = tmp_path / "LibriSpeech"
    for name in ("84-9-0000.flac", "84-9-0001.wav", "84-9-0002.ogg", "84-9-0003.mp3", "84-9-0004.opus"):
        record(root / "dev/84/9" / name)
    write(
        root / "dev/84/9/84-9.trans.txt",
        "84-9-0000 GO\n84-9-0001 DON'T STOP\n84-9-0002 ÉTÉ\n84-9-0003 AND SO\n84-9-0004 ON\n",
    )
    record(root / "dev/116/2/116-2-0000.FLAC".replace(".FLAC", ".flac")).rename(root / "dev/116/2/116-2-0000.FLAC")
    write(root / "dev/116/2/116-2.trans.txt", "116-2-0000 UPPER CASE ENDING\r\n")
    write(root / "SPEAKERS.TXT", "; the speakers\n")
    return root


@pytest.mark.parametrize("part", ["", "dev", "dev/84", "dev/84/9"])
def test_librispeech_tree_or_any_part_of_it(libri: Path, part: str) -> None:
    prepared = prepare(libri / part)
    wanted = {
        "84-9-0000": "go",
        "84-9-0001": "don't stop",
        "84-9-0002": "ete",
        "84-9-0003": "and so",
        "84-9-0004": "on",
    }
    if part in ("", "dev"):
        wanted = {"116-2-0000": "upper case ending"} | wanted
    assert prepared.format == "librispeech"
    assert list(texts(prepared).items()) == list(wanted.items())  # sorted by id
    assert prepared.problems == []
    assert {u.id: u.speaker for u in prepared.utterances} == {i: i.split("-")[0] for i in wanted}
    assert all(0.09 < u.duration < 0.2 for u in prepared.utterances)


def test_speakers_come_from_the_path_where_ids_have_dashes(tmp_path: Path) -> None:
    record(tmp_path / "en-us/01/en-us-01-0000.flac")
    write(tmp_path / "en-us/01/en-us-01.trans.txt", "en-us-01-0000 HELLO\n")
    assert prepare(tmp_path).speakers == {"en-us"}


def test_librispeech_problems_are_named_and_cost_nothing_else(libri: Path) -> None:
    chapter = libri / "dev/84/9"
    write(chapter / "84-9-0001.wav", b"RIFF, not really")
    write(chapter / "84-9-0002.ogg", b"")
    record(chapter / "84-9-0005.flac")
    record(chapter / "84-9-0000.mp3")
    with (chapter / "84-9.trans.txt").open("ab") as file:
        file.write(b"84-9-0006 NO RECORDING\n84-9-0007\n\n84-9-0008 CAF\xc9\n")
    record(chapter / "84-9-0007.flac")
    record(chapter / "84-9-0008.flac")
    (libri / "dev/116/2/x.trans.txt").symlink_to("nowhere")
    prepared = prepare(libri)
    assert list(texts(prepared)) == ["116-2-0000", "84-9-0000", "84-9-0003", "84-9-0004"]
    assert next(u for u in prepared.utterances if u.id == "84-9-0000").audio.suffix == ".flac"
    found = "\n".join(problems(prepared, libri))
    for expected in (
        "dev/84/9/84-9.trans.txt:2: 84-9-0001: dev/84/9/84-9-0001.wav: cannot be decoded",
        "dev/84/9/84-9.trans.txt:3: 84-9-0002: dev/84/9/84-9-0002.ogg: the file is empty",
        "dev/84/9/84-9-0005.flac: the recording has no transcript",
        "dev/84/9/84-9-0000.mp3: the same utterance as 84-9-0000.flac, which is taken",
        "dev/84/9/84-9.trans.txt:6: 84-9-0006: the transcript has no recording beside it",
        "dev/84/9/84-9.trans.txt:7: 84-9-0007: the transcript is empty",
        "dev/84/9/84-9.trans.txt:9: 84-9-0008: the text is not UTF-8",
        "dev/116/2/x.trans.txt: dev/116/2/x.trans.txt: No such file or directory",
    ):
        assert expected in found
    assert len(prepared.problems) == 8


def test_an_utterance_that_is_in_two_parts_is_taken_once(libri: Path) -> None:
    record(libri / "mini/84/9/84-9-0000.flac")
    write(libri / "mini/84/9/84-9.trans.txt", "84-9-0000 GO\n")
    prepared = prepare(libri)
    assert len(prepared.utterances) == 6
    assert problems(prepared, libri) == [
        f"mini/84/9/84-9.trans.txt:1: 84-9-0000: is there already, at {libri}/dev/84/9/84-9.trans.txt:1".replace(
            f"{libri}/", ""
        )
    ]


def test_links_to_folders_are_followed_but_not_in_circles(libri: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "speech").symlink_to(libri)
    (libri / "dev/84/loop").symlink_to(libri)
    assert len(prepare(data).utterances) == 6


# ---- Common Voice -------------------------------------------------------------------------------------

HEADER = "client_id\tpath\tsentence\tup_votes\n"


def test_common_voice(tmp_path: Path) -> None:
    for name in ("cv_1.mp3", "cv_2.mp3", "cv_3.mp3", "cv_4.mp3"):
        record(tmp_path / "clips" / name)
    rows = [
        'a1\tcv_2.mp3\t"Good-bye," he said.\t2',
        'b2\tcv_1.mp3\t"""Well,"" said the boy."\t2',
        'a1\tcv_3\tOne stray " quote and "another\t2',
        "a1\tcv_9.mp3\tGone\t2",
        "a1\tcv_4.mp3\tA\ttab inside\t2",
        "a1\tcv_4.mp3",
        "a1\tcv_4.mp3\t...\t2",
    ]
    table = write(tmp_path / "validated.tsv", "\ufeff" + HEADER + "\n".join(rows) + "\n")
    write(tmp_path / "clip_durations.tsv", "clip\tduration\n")
    for source in (table, tmp_path):
        prepared = prepare(source)
        assert prepared.format == "commonvoice"
        assert texts(prepared) == {
            "cv_1": "well said the boy",
            "cv_2": "good bye he said",
            "cv_3": "one stray quote and another",
        }
        assert prepared.speakers == {"a1", "b2"}
        assert problems(prepared, tmp_path) == [
            "validated.tsv:6: 5 columns, the header has 4",
            "validated.tsv:7: 2 columns, the header has 4",
            "validated.tsv:8: cv_4: nothing is left of the transcript '...'",
            "validated.tsv:5: cv_9: clips/cv_9.mp3: no such file",
        ]


def test_common_voice_wants_one_of_its_tables(tmp_path: Path) -> None:
    for name in ("dev.tsv", "train.tsv"):
        write(tmp_path / name, HEADER)
    with pytest.raises(ManifestError, match=r"2 tables: dev\.tsv, train\.tsv") as caught:
        prepare(tmp_path)
    assert f"steno data prepare {tmp_path}/dev.tsv" in caught.value.hint


# ---- LJSpeech -----------------------------------------------------------------------------------------


def test_ljspeech(tmp_path: Path) -> None:
    for name in ("LJ001-0001.wav", "LJ001-0002.wav", "LJ001-0003.flac", "LJ001-0009.wav"):
        record(tmp_path / "wavs" / name, rate=22_050)
    table = write(
        tmp_path / "metadata.csv",
        'LJ001-0002|in 1455|in fourteen fifty-five\nLJ001-0001|"Printing," he said|\n'
        "LJ001-0003|two columns\nLJ001-0004|a|a\nLJ001-0005\n",
    )
    for source in (tmp_path, table):
        prepared = prepare(source)
        assert prepared.format == "ljspeech"
        assert texts(prepared) == {
            "LJ001-0001": "printing he said",
            "LJ001-0002": "in fourteen fifty five",
            "LJ001-0003": "two columns",
        }
        assert problems(prepared, tmp_path) == [
            "metadata.csv:4: LJ001-0004: the transcript has no recording beside it",
            "metadata.csv:5: 1 columns, not ID|text or ID|text|normalised text",
            "wavs/LJ001-0009.wav: the recording has no transcript",
        ]


# ---- tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        "path,text\na/1.wav,Hello\n",
        "\ufeffPath,Transcript\r\na/1.wav,Hello\r\n",
        "transcript;wav_filename\nHello;a/1.wav\n",
        "audio_filepath\tsentence\na/1.wav\tHello\n",
        'file|speaker|text\n"a/1.wav"||Hello\n',
        'text,"audio"\n"Hello","a/1.wav"\n',
    ],
)
def test_tables_of_many_kinds(tmp_path: Path, table: str) -> None:
    recording = record(tmp_path / "a/1.wav")
    for data in (table.encode(), table.removeprefix("\ufeff").encode("utf-16")):
        source = write(tmp_path / "list.csv", data)
        prepared = prepare(source)
        assert prepared.format == "table"
        assert [(u.id, u.audio, u.text, u.speaker) for u in prepared.utterances] == [("1", recording, "hello", None)]
        assert prepared.problems == []


def test_quotes_of_csv_hold_commas_quotes_and_lines_but_stray_ones_cost_one_row(tmp_path: Path) -> None:
    for number in range(1, 8):
        record(tmp_path / f"{number}.wav")
    table = write(
        tmp_path / "list.csv",
        'path,text,speaker\n1.wav,"One, ""two""\nthree",ann\n2.wav,"never closed,ann\n3.wav,fine,bob\n'
        '4.wav,a "stray" one,ann\n5.wav,too,many,fields\n6.wav,caf\udce9,ann\n\n7.wav,last,bob\n'.encode(
            "utf-8", "surrogateescape"
        ),
    )
    prepared = prepare(table)
    assert texts(prepared) == {"1": "one two three", "3": "fine", "4": "a stray one", "7": "last"}
    assert prepared.speakers == {"ann", "bob"}
    assert problems(prepared, tmp_path) == [
        "list.csv:4: a quote is opened and not closed, or stands inside a field",
        "list.csv:7: 4 columns, the header has 3",
        "list.csv:8: the text is not UTF-8, or was damaged before",
    ]


def test_absolute_paths_and_paths_beside_the_table(tmp_path: Path) -> None:
    far, near = record(tmp_path / "far/x.wav"), record(tmp_path / "lists/near.wav")
    table = write(tmp_path / "lists/t.tsv", f"path\ttext\n{far}\tfar\nnear.wav\tnear\n\tnone\n")
    prepared = prepare(table)
    assert {u.audio for u in prepared.utterances} == {far, near}
    assert problems(prepared, tmp_path) == ["lists/t.tsv:4: no path"]


def test_ids_are_made_unique(tmp_path: Path) -> None:
    for name in ("a/1.wav", "b/1.wav", "b/2.wav"):
        record(tmp_path / name)
    table = write(tmp_path / "t.csv", "path,text\nb/1.wav,x\na/1.wav,y\nb/2.wav,z\na/1.wav,again\n")
    prepared = prepare(table)
    assert texts(prepared) == {"2": "z", "a-1": "y", "a-1-2": "again", "b-1": "x"}


def test_ids_of_a_column_are_kept(tmp_path: Path) -> None:
    record(tmp_path / "1.wav")
    table = write(tmp_path / "t.csv", "id,path,text\nfirst,1.wav,x\n,1.wav,y\n")
    assert texts(prepare(table)) == {"first": "x", "1": "y"}


def test_columns_can_be_named(tmp_path: Path) -> None:
    record(tmp_path / "1.wav")
    table = write(tmp_path / "t.csv", "Ton,Wortlaut,text\n1.wav,ja,nein\n")
    assert texts(prepare(table, wanted=Wanted(path="ton", text="Wortlaut"))) == {"1": "ja"}
    with pytest.raises(ManifestError, match=r"t\.csv:1: no column 'words'") as caught:
        prepare(table, wanted=Wanted(path="Ton", text="words"))
    assert "Ton, Wortlaut, text" in caught.value.hint
    with pytest.raises(ManifestError, match="no column of paths") as caught:
        prepare(table, wanted=Wanted(text="text"))
    assert "--path-column" in caught.value.hint


def test_several_columns_that_may_be_it_are_a_question(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", "path,text,sentence\n1.wav,a,b\n")
    with pytest.raises(ManifestError, match="several columns may hold the transcripts: text, sentence") as caught:
        prepare(table)
    assert "--text-column" in caught.value.hint


def test_a_folder_with_one_table_and_a_folder_with_two(tmp_path: Path) -> None:
    record(tmp_path / "1.wav")
    write(tmp_path / "transcripts.tsv", "file\ttext\n1.wav\tone\n")
    write(tmp_path / "notes.csv", "who,what\n")
    assert texts(prepare(tmp_path)) == {"1": "one"}
    write(tmp_path / "more.csv", "file,text\n1.wav,one\n")
    with pytest.raises(ManifestError, match=r"2 tables, not one: more\.csv, transcripts\.tsv"):
        prepare(tmp_path)


# ---- folders ------------------------------------------------------------------------------------------


def test_a_folder_of_recordings_with_texts(tmp_path: Path) -> None:
    record(tmp_path / "b.wav")
    write(tmp_path / "b.txt", "\ufeffTwo\nlines.\n")
    record(tmp_path / "sub/a.ogg")
    write(tmp_path / "sub/a.txt", "It’s here")
    record(tmp_path / "other/a.mp3")
    write(tmp_path / "other/a.TXT", "again")
    record(tmp_path / "lonely.wav")
    write(tmp_path / "text.txt", "no recording")
    record(tmp_path / "empty.wav")
    write(tmp_path / "empty.txt", " \n")
    record(tmp_path / "latin.wav")
    write(tmp_path / "latin.txt", b"caf\xe9")
    record(tmp_path / ".hidden.wav")
    prepared = prepare(tmp_path)
    assert prepared.format == "folder"
    assert texts(prepared) == {"b": "two lines", "other-a": "again", "sub-a": "it's here"}
    assert sorted(problems(prepared, tmp_path)) == [
        "empty.txt: empty: the transcript is empty",
        "latin.txt: the text is not UTF-8, or was damaged before",
        "lonely.wav: the recording has no transcript",
        "text.txt: the transcript has no recording beside it",
    ]


def test_a_name_that_is_not_text_is_left_out(tmp_path: Path) -> None:
    record(tmp_path / "good.wav")
    write(tmp_path / "good.txt", "good")
    bad = os.fsencode(tmp_path) + b"/caf\xe9"
    os.link(tmp_path / "good.wav", bad + b".wav")
    os.link(tmp_path / "good.txt", bad + b".txt")
    prepared = prepare(tmp_path)
    assert texts(prepared) == {"good": "good"}
    assert "name is not UTF-8" in str(prepared.problems[0])
    assert str(prepared.problems[0]).isascii()


# ---- which layout -------------------------------------------------------------------------------------


def test_what_is_not_a_corpus_is_told_what_is_accepted(tmp_path: Path) -> None:
    record(tmp_path / "x/a.wav")
    for source in (tmp_path, tmp_path / "x/a.wav", write(tmp_path / "t.txt", "who,what\n")):
        with pytest.raises(ManifestError, match="not a corpus that Steno knows") as caught:
            find_format(source)
        for name in FORMATS:
            assert name in caught.value.hint
    with pytest.raises(ManifestError, match="no such file or folder"):
        find_format(tmp_path / "nothing")
    with pytest.raises(ManifestError, match="no format 'lhotse'"):
        find_format(tmp_path, "lhotse")
    with pytest.raises(ManifestError, match="is a manifest already"):
        find_format(write(tmp_path / "m.jsonl", "{}"))


def test_an_ambiguous_source_is_a_question_that_format_answers(libri: Path) -> None:
    record(libri / "a.wav")
    write(libri / "a.txt", "beside")
    with pytest.raises(ManifestError, match="may be any of: librispeech, folder") as caught:
        find_format(libri)
    assert "--format" in caught.value.hint
    assert "a" in texts(prepare(libri, format="folder"))
    assert len(prepare(libri, format="librispeech").utterances) == 6


@pytest.mark.parametrize("name", ["librispeech", "commonvoice", "ljspeech", "folder"])
def test_columns_of_something_without_columns_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError, match=f"do not go with --format {name}"):
        find_format(tmp_path, name, Wanted(text="text"))


@pytest.mark.parametrize("name", ["commonvoice", "ljspeech", "table"])
def test_a_forced_format_that_does_not_fit_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError):
        prepare(tmp_path, format=name)


# ---- texts and the manifest ---------------------------------------------------------------------------


def test_the_alphabet_decides_and_can_be_left_out(tmp_path: Path) -> None:
    record(tmp_path / "a.wav")
    write(tmp_path / "a.txt", "Größe  und\nÄrger, 3!")
    assert texts(prepare(tmp_path))["a"] == "große und arger 3"
    german = " abcdefghijklmnopqrstuvwxyzäöüß"
    assert texts(prepare(tmp_path, alphabet=german))["a"] == "größe und ärger 3"
    assert texts(prepare(tmp_path, alphabet=None))["a"] == "Größe und Ärger, 3!"
    with pytest.raises(TextError, match="repeats"):
        prepare(tmp_path, alphabet="aab")


def test_the_manifest_reads_back_and_is_the_same_every_time(libri: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    prepared = prepare(libri, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 6) for number in range(1, 7)]
    save(prepared, tmp_path / "m.jsonl")
    save(prepare(libri), tmp_path / "n.jsonl")
    assert (tmp_path / "m.jsonl").read_bytes() == (tmp_path / "n.jsonl").read_bytes()
    manifest = Manifest(tmp_path / "m.jsonl")
    assert [u.id for u in manifest] == [u.id for u in prepared.utterances]
    assert all(u.audio.exists() for u in manifest)
    assert manifest.hours == pytest.approx(prepared.hours)


def test_an_unusable_place_for_the_manifest_is_named(libri: Path, tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    with pytest.raises(ManifestError, match="cannot be written"):
        save(prepare(libri), tmp_path / "file" / "m.jsonl")


@pytest.mark.parametrize(
    ("line", "delimiter", "fields"),
    [
        ('"a\tb', "\t", ['"a', "b"]),
        ('"a ""b"""\tc', "\t", ['a "b"', "c"]),
        ('"a"b"\tc', "\t", ['"a"b"', "c"]),
        ('"\tc', "\t", ['"', "c"]),
        ('"a,b",c', ",", ["a,b", "c"]),
        ("a\u2028b,c", ",", ["a\u2028b", "c"]),
        ('"a\u2028b",c', ",", ["a\u2028b", "c"]),
    ],
)
def test_fields(line: str, delimiter: str, fields: list[str]) -> None:
    assert list(records(line, delimiter, Path("x"))) == [Record(1, fields)]


# ---- the command --------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: str | Path) -> tuple[int, str, BaseException | None]:
        command = ["data", "prepare", *map(str, arguments), "--out", str(tmp_path / "out dir/m.jsonl")]
        result = CliRunner().invoke(app, command)
        return result.exit_code, result.output, result.exception

    return invoke


def test_the_command_sums_up_and_names_the_next_one(libri: Path, tmp_path: Path, run: Run) -> None:
    (libri / "dev/84/9/84-9-0001.wav").unlink()
    code, output, _ = run(libri)
    assert code == 0
    assert "84-9.trans.txt:2: 84-9-0001: the transcript has no recording beside it" in output
    for row in (r"format +│ librispeech", r"utterances +│ 5 ", r"speakers +│ 2 ", r"left out +│ 1 "):
        assert re.search(row, output)
    assert f"steno data check '{tmp_path}/out dir/m.jsonl'" in output
    assert len(Manifest(tmp_path / "out dir/m.jsonl")) == 5


def test_many_problems_go_to_a_file(tmp_path: Path, run: Run) -> None:
    record(tmp_path / "t/a.wav")
    rows = "".join(f"{number}.wav,gone\n" for number in range(30))
    write(tmp_path / "t/t.csv", f"path,text\n{rows}a.wav,here\n")
    code, output, _ = run(tmp_path / "t")
    assert code == 0
    assert "10 more; all of them are in" in output
    assert len((tmp_path / "out dir/m.left-out.txt").read_text().splitlines()) == 30
    write(tmp_path / "t/t.csv", "path,text\na.wav,here\n")
    assert run(tmp_path / "t")[0] == 0
    assert not (tmp_path / "out dir/m.left-out.txt").exists()


def test_nothing_usable_is_an_error_and_writes_no_manifest(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "t/t.csv", "path,text\na.wav,gone\n")
    code, output, error = run(tmp_path / "t")
    assert code != 0
    assert isinstance(error, ManifestError)
    assert "nothing usable" in error.message
    assert "a.wav: no such file" in output
    assert not (tmp_path / "out dir/m.jsonl").exists()


def test_an_alphabet_without_normalising_is_refused(libri: Path, run: Run) -> None:
    code, _, error = run(libri, "--alphabet", "abc", "--no-normalize")
    assert code != 0
    assert "--alphabet does not go with --no-normalize" in str(error)


def test_a_table_of_unknown_columns_says_which_it_has(tmp_path: Path) -> None:
    table = tmp_path / "calls.csv"
    table.write_text("sound,who,label\na.wav,anna,yes\n")
    with pytest.raises(ManifestError, match="no column of paths among: sound, who, label") as refused:
        prepare(table)
    assert "--path-column" in str(refused.value)


def test_numbers_are_spelled_out_if_asked(tmp_path: Path, run: Run) -> None:
    record(tmp_path / "a.wav")
    write(tmp_path / "a.txt", "In 1984, $5 & more")
    assert texts(prepare(tmp_path)) == {"a": "in 1984 5 more"}
    assert texts(prepare(tmp_path, spell_out=True)) == {"a": "in nineteen eighty four five dollars and more"}
    code, _, _ = run(tmp_path, "--spell-out")
    assert code == 0
