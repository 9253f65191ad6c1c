import fcntl
import itertools
import os
import random
import signal
import string
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from steno.audio import SAMPLE_RATE, load
from steno.cli.app import app
from steno.data.noise import coloured_noise
from steno.data.rooms import reverberate, room
from steno.data.synth import CorpusSummary, synthesise
from steno.data.synth.acoustics import NOISE_SLOPES, PEAK, Scene, record
from steno.data.synth.plan import Chapter, digest, draw_plan
from steno.data.synth.sentences import LONGEST, SHORTEST, VOCABULARY, compose, vocabulary
from steno.data.synth.voices import ACCENTS, MEN, WOMEN
from steno.errors import MissingExtraError, StenoError
from steno.espeak import Espeak, Voice, espeak

TINY = 0.008
QUIET_ROOM = Scene(seed=3, level=-24.0, lead=0.2, trail=0.3, rt60=None, direct=6.0, noise="white", snr=60.0)


@pytest.fixture(scope="module")
def engine() -> Iterator[Espeak]:
    with espeak() as ready:
        yield ready


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> CorpusSummary:
    return synthesise(tmp_path_factory.mktemp("corpus"), seed=7, hours=TINY, workers=1)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def texts_of(plan: list[Chapter], part: str) -> set[str]:
    return {line.text for chapter in plan if chapter.part == part for line in chapter.lines}


# Sentences


def test_the_vocabulary_has_a_few_hundred_words_and_every_letter() -> None:
    words = vocabulary()
    assert 250 <= len(words) <= 350
    assert set("".join(words)) == set(string.ascii_lowercase + "'")


def test_sentences_are_short_distinct_and_of_the_vocabulary() -> None:
    sentences = list(itertools.islice(compose(random.Random(1)), 2000))
    assert len(set(sentences)) == len(sentences)
    assert {word for sentence in sentences for word in sentence.split()} == set(vocabulary())
    assert all(SHORTEST <= len(sentence.split()) <= LONGEST for sentence in sentences)


def test_the_indefinite_article_fits_the_next_word() -> None:
    for sentence in itertools.islice(compose(random.Random(2)), 2000):
        for word, following in itertools.pairwise(sentence.split()):
            if word in ("a", "an"):
                assert (word == "an") == (following[0] in "aeiou"), sentence


def test_the_words_of_a_group_are_about_equally_frequent() -> None:
    sentences = itertools.islice(compose(random.Random(3)), 1200)
    counts = Counter(word for sentence in sentences for word in sentence.split())
    assert min(counts[word] for word in vocabulary()) >= 5
    for group in ("THING", "PERSON", "PLACE", "DID", "DAY"):
        frequencies = [counts[word] for word in VOCABULARY[group]]
        assert max(frequencies) < 2 * min(frequencies), group


def test_sentences_depend_on_the_seed() -> None:
    def of(seed: int) -> list[str]:
        return list(itertools.islice(compose(random.Random(seed)), 50))

    assert of(1) == of(1)
    assert len(set(of(1)) & set(of(2))) <= 2


# Plan


def test_the_parts_share_neither_sentences_nor_voices() -> None:
    plan = draw_plan(1, 0.5)
    parts = ("train", "dev", "test")
    variants = {
        part: {chapter.speaker.voice.name.split("+")[1] for chapter in plan if chapter.part == part} for part in parts
    }
    speakers = {part: {chapter.speaker.id for chapter in plan if chapter.part == part} for part in parts}
    for one, other in itertools.combinations(parts, 2):
        assert not texts_of(plan, one) & texts_of(plan, other)
        assert not variants[one] & variants[other]
        assert not speakers[one] & speakers[other]
    names = [line.id for chapter in plan for line in chapter.lines]
    assert len(set(names)) == len(names)


def test_no_variant_is_in_two_parts_of_the_table() -> None:
    names = [name for table in (MEN, WOMEN) for part in table.values() for name in part]
    assert len(set(names)) == len(names)


def test_test_sentences_use_only_words_of_the_training_part() -> None:
    plan = draw_plan(1, 1.0)
    heard = {word for text in texts_of(plan, "train") for word in text.split()}
    for part in ("dev", "test"):
        assert {word for text in texts_of(plan, part) for word in text.split()} <= heard


def test_the_plan_depends_on_seed_and_hours_alone() -> None:
    assert digest(draw_plan(1, 0.05)) == digest(draw_plan(1, 0.05))
    assert digest(draw_plan(1, 0.05)) != digest(draw_plan(1, 0.06))
    one, other = (texts_of(draw_plan(seed, 0.05), "train") for seed in (1, 2))
    assert len(one & other) <= len(one) // 20


def test_rooms_noise_and_clean_speech_all_occur() -> None:
    lines = [line for chapter in draw_plan(1, 0.5) for line in chapter.lines]
    echoing = [line for line in lines if line.scene.rt60 is not None]
    noisy = [line for line in lines if line.scene.snr < 40]
    assert 0.2 < len(echoing) / len(lines) < 0.4
    assert 0.2 < len(noisy) / len(lines) < 0.4
    assert all(0.2 <= line.scene.rt60 <= 0.5 for line in echoing if line.scene.rt60 is not None)
    assert {line.scene.noise for line in noisy} == set(NOISE_SLOPES)


# Acoustics


@pytest.mark.parametrize("rt60", [0.2, 0.5])
def test_the_room_falls_by_60_db_in_its_reverberation_time(rt60: float) -> None:
    response = room(rt60, 0.0, np.random.default_rng(1))
    left = np.cumsum(response[:0:-1] ** 2)[::-1]
    decay = 10 * np.log10(left / left[0])
    fall_5_to_25 = np.searchsorted(-decay, 25) - np.searchsorted(-decay, 5)
    assert 3 * fall_5_to_25 / SAMPLE_RATE == pytest.approx(rt60, rel=0.15)
    assert 10 * np.log10(1 / np.sum(response[1:] ** 2)) == pytest.approx(0.0, abs=0.01)


def test_reverberation_is_a_convolution() -> None:
    rng = np.random.default_rng(2)
    signal, response = rng.standard_normal(700), rng.standard_normal(90)
    np.testing.assert_allclose(reverberate(signal, response), np.convolve(signal, response)[:700], atol=1e-9)


@pytest.mark.parametrize(("name", "slope"), sorted(NOISE_SLOPES.items()))
def test_noise_has_its_colour(name: str, slope: float) -> None:
    noise = coloured_noise(1 << 17, slope, np.random.default_rng(4))
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    octaves = [power[(hertz >= low) & (hertz < 2 * low)].mean() for low in (250, 500, 1000, 2000)]
    fall = -np.diff(np.log2(octaves)).mean()
    assert fall == pytest.approx(slope, abs=0.15), name
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0)
    assert power[hertz > 50].sum() / power.sum() > 0.15  # most of it must not be too low to be heard


def test_a_recording_has_its_level_pauses_and_noise() -> None:
    tone = (0.3 * np.sin(np.arange(16000) / 5)).astype(np.float32)
    scene = replace(QUIET_ROOM, noise="pink", snr=20.0)
    made = record(tone, scene)
    assert len(made) == 16000 + 0.5 * SAMPLE_RATE
    assert 20 * np.log10(made.std()) == pytest.approx(-24.0, abs=0.1)
    background, voice = np.concatenate([made[:3200], made[-4800:]]), made[3200:-4800]
    assert 20 * np.log10(voice.std() / background.std()) == pytest.approx(20.0, abs=2.0)


def test_echo_rings_on_after_the_voice() -> None:
    click = np.zeros(4000, np.float32)
    click[-1] = 1.0
    dry, wet = record(click, QUIET_ROOM), record(click, replace(QUIET_ROOM, rt60=0.4, direct=3.0))
    after = slice(-4000, -2000)
    assert np.abs(wet[after]).max() > 5 * np.abs(dry[after]).max()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**48),
    level=st.floats(-60, 20),
    rt60=st.none() | st.floats(0.05, 1.0),
    snr=st.floats(-10, 90),
    noise=st.sampled_from(sorted(NOISE_SLOPES)),
    loudness=st.sampled_from([0.0, 1e-4, 1.0]),
)
def test_a_recording_never_clips(
    seed: int, level: float, rt60: float | None, snr: float, noise: str, loudness: float
) -> None:
    speech = (loudness * np.random.default_rng(seed).uniform(-1, 1, 800)).astype(np.float32)
    made = record(speech, replace(QUIET_ROOM, seed=seed, level=level, rt60=rt60, snr=snr, noise=noise))
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= PEAK + 1e-6


# espeak-ng


@pytest.mark.parametrize("variant", ["m3", "f1", "klatt2", "klatt4", "victor"])
def test_speech_does_not_depend_on_what_was_said_before(engine: Espeak, variant: str) -> None:
    voice = Voice(f"en-us+{variant}", rate=170, pitch=45)
    first = engine.speak("the lazy fox slept in the garden", voice, 5)
    engine.speak("a quite different sentence", Voice("en-gb-scotland+f3", rate=190), 9)
    engine.speak("and one more", Voice("gmw/en+klatt3", pitch=70), 1)
    np.testing.assert_array_equal(engine.speak("the lazy fox slept in the garden", voice, 5), first)


def test_speech_is_the_same_in_another_folder(engine: Espeak) -> None:
    with espeak() as other:
        assert other.library != engine.library
        one, two = (each.speak("good morning", Voice("en-us+m3")) for each in (engine, other))
    np.testing.assert_array_equal(one, two)
    assert not other.library.exists()


def test_every_voice_of_the_corpus_speaks_without_clipping(engine: Espeak) -> None:
    text = "the brave sailor carried a heavy box across the bridge"
    for part in MEN:
        for index, variant in enumerate(MEN[part] + WOMEN[part]):
            voice = Voice(f"{ACCENTS[index % len(ACCENTS)]}+{variant}", pitch=62)
            speech = engine.speak(text, voice)
            assert 2.0 < len(speech) / SAMPLE_RATE < 5.0, voice
            assert 0.02 < np.abs(speech).max() < 0.95, voice
            loud = np.flatnonzero(np.abs(speech) > 0.05 * np.abs(speech).max()) / SAMPLE_RATE
            assert loud[0] < 0.15, voice
            assert loud[-1] > len(speech) / SAMPLE_RATE - 0.3, voice


def test_accents_and_variants_differ(engine: Espeak) -> None:
    names = ["en-us+m3", "en-gb-x-rp+m3", "en-us+m1", "en-us+f1"]
    spoken = {engine.speak("where is the yellow lamp", Voice(name)).tobytes() for name in names}
    assert len(spoken) == len(names)


def test_an_unknown_voice_is_named(engine: Espeak) -> None:
    with pytest.raises(StenoError, match="no-such-accent"):
        engine.speak("hello", Voice("no-such-accent"))


def test_a_missing_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match=r"'\.\[demo\]"):
        synthesise(tmp_path, hours=TINY, workers=1)


# The corpus on disk


def test_the_layout_is_librispeechs(corpus: CorpusSummary) -> None:
    plan = draw_plan(7, TINY)
    assert [part.folder.name for part in corpus.parts] == ["train-synth", "dev-synth", "test-synth"]
    assert corpus.made == sum(part.utterances for part in corpus.parts)
    for chapter in plan:
        speaker, number = chapter.name.split("-")
        home = corpus.folder / f"{chapter.part}-synth" / speaker / number
        rows = (home / f"{chapter.name}.trans.txt").read_text().splitlines()
        assert rows == [f"{line.id} {line.text.upper()}" for line in chapter.lines]
        assert {path.stem for path in home.glob("*.flac")} == {line.id for line in chapter.lines}


def test_recordings_are_16_khz_mono_flac_without_clipping_or_long_silence(corpus: CorpusSummary) -> None:
    for path in sorted(corpus.folder.rglob("*.flac")):
        info = soundfile.info(path)
        form = (info.samplerate, info.channels, info.format, info.subtype)
        assert form == (SAMPLE_RATE, 1, "FLAC", "PCM_16")
        samples = load(path)
        loud = np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max()) / SAMPLE_RATE
        assert np.abs(samples).max() <= PEAK + 1e-4
        assert loud[0] < 0.6
        assert len(samples) / SAMPLE_RATE - loud[-1] < 0.8


def test_the_table_of_speakers_lists_each_with_its_part(corpus: CorpusSummary) -> None:
    rows = (corpus.folder / "SPEAKERS.TXT").read_text().splitlines()
    cells = [[cell.strip() for cell in row.split("|")] for row in rows if not row.startswith(";")]
    assert [(row[0], row[1], row[2]) for row in cells] == [
        (str(chapter.speaker.id), chapter.speaker.sex, f"{chapter.part}-synth") for chapter in draw_plan(7, TINY)
    ]
    assert sum(float(row[3]) for row in cells) == pytest.approx(
        60 * sum(part.hours for part in corpus.parts), abs=0.01 * len(cells)
    )


def test_the_hours_are_kept(tmp_path: Path) -> None:
    train = synthesise(tmp_path, seed=3, hours=0.05, workers=1).parts[0]
    assert train.hours == pytest.approx(0.05, rel=0.1)


def test_two_workers_make_the_same_bytes(corpus: CorpusSummary, tmp_path: Path) -> None:
    again = synthesise(tmp_path, seed=7, hours=TINY, workers=2)
    assert files_of(again.folder) == files_of(corpus.folder)


def test_an_interrupted_corpus_is_finished(corpus: CorpusSummary, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(tmp_path, seed=7, hours=TINY, workers=1, progress=stop)
    begun = set(tmp_path.rglob("*.flac"))
    (next(iter(begun)).parent / "half.flac.part").write_bytes(b"fLaC")
    finished = synthesise(tmp_path, seed=7, hours=TINY, workers=1)
    assert 0 < len(begun) == calls[0][0] < calls[0][1]
    assert finished.made == corpus.made - len(begun)
    assert files_of(finished.folder) == files_of(corpus.folder)


def test_a_complete_corpus_is_left_alone(corpus: CorpusSummary) -> None:
    before = {path: path.stat().st_mtime_ns for path in corpus.folder.rglob("*")}
    again = synthesise(corpus.folder.parent, seed=7, hours=TINY, workers=1)
    assert again == replace(corpus, made=0)
    assert {path: path.stat().st_mtime_ns for path in corpus.folder.rglob("*")} == before


@pytest.mark.parametrize(("seed", "hours", "what"), [(8, TINY, "seed 7, not 8"), (7, 0.01, "hours")])
def test_a_different_corpus_is_refused(corpus: CorpusSummary, seed: int, hours: float, what: str) -> None:
    before = files_of(corpus.folder)
    with pytest.raises(StenoError, match=what):
        synthesise(corpus.folder.parent, seed=seed, hours=hours, workers=1)
    assert files_of(corpus.folder) == before


@pytest.mark.parametrize("name", ["SPEAKERS.TXT", "test-synth/x.flac"])
def test_what_steno_did_not_make_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "LibriSpeech" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(StenoError, match="there already"):
        synthesise(tmp_path, hours=TINY, workers=1)
    assert files_of(tmp_path) == {f"LibriSpeech/{name}": b"mine"}


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_damaged_marker_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "LibriSpeech").mkdir()
    (tmp_path / "LibriSpeech" / "SYNTH.JSON").write_text(text)
    with pytest.raises(StenoError, match=r"SYNTH\.JSON"):
        synthesise(tmp_path, hours=TINY, workers=1)


def test_two_runs_in_one_folder_do_not_meet(tmp_path: Path) -> None:
    folder = tmp_path / "LibriSpeech"
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(StenoError, match="another process"):
            synthesise(tmp_path, hours=TINY, workers=1)
    finally:
        os.close(handle)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(("hours", "workers"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (1e9, 1), (TINY, 0)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, hours: float, workers: int) -> None:
    with pytest.raises(StenoError, match=r"hours is|workers is"):
        synthesise(tmp_path, hours=hours, workers=workers)


def test_a_full_disk_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(StenoError, match="are free"):
        synthesise(tmp_path, hours=TINY, workers=1)
    assert not list((tmp_path / "LibriSpeech").iterdir())


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "LibriSpeech").write_text("")
    with pytest.raises(StenoError, match="LibriSpeech"):
        synthesise(tmp_path, hours=TINY, workers=1)


def test_the_command_tells_what_is_there_and_what_comes_next(corpus: CorpusSummary) -> None:
    arguments = ["--to", str(corpus.folder.parent), "--seed", "7", "--hours", str(TINY), "--workers", "1"]
    result = CliRunner().invoke(app, ["data", "synth", *arguments])
    assert result.exit_code == 0, result.output
    assert "nothing done" in " ".join(result.output.split())
    assert f"steno data prepare {corpus.folder / 'train-synth'} --out" in result.output


KILLED_AFTER_THE_FIRST_SPEAKER = """
import os, signal, sys
from pathlib import Path
from steno.data.synth import synthesise

def kill(done, total):
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    synthesise(Path(sys.argv[1]), seed=7, hours=0.02, workers=2, progress=kill)
"""


def test_a_kill_leaves_no_worker_behind_and_a_corpus_that_can_be_finished(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(KILLED_AFTER_THE_FIRST_SPEAKER)
    # Its temporary folder cannot be tidied up after a kill, so it goes below this test's.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(script), str(tmp_path / "killed")]
    # The workers inherit the pipe, so this returns only when the last of them has ended.
    killed = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    finished = synthesise(tmp_path / "killed", seed=7, hours=0.02, workers=1)
    whole = synthesise(tmp_path / "whole", seed=7, hours=0.02, workers=1)
    assert 0 < finished.made < whole.made
    assert files_of(finished.folder) == files_of(whole.folder)
