"""Downloading, against a small server of our own on the loopback address."""

import hashlib
import io
import re
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from steno.cli.app import app
from steno.data import download as corpora
from steno.data.download import DownloadError, Fetched, Part, librispeech
from steno.data.download.archive import unpack
from steno.data.download.console import ConsoleWatcher
from steno.data.download.fetch import Retry, disk_error, fetch

RNG = np.random.default_rng(20)
MakeSite = Callable[[], "Site"]
BIG = RNG.bytes(3_000_000)  # more than one chunk, so that a cut leaves something behind


@dataclass
class Site:
    """What the server holds and how it misbehaves; ``log`` has method, path and Range of every request."""

    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    head: bool = True
    lengths: bool = True
    status: list[int] = field(default_factory=list)
    log: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""

    def gets(self) -> list[tuple[str, str | None]]:
        return [(path, ranged) for method, path, ranged in self.log if method == "GET"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        """Tests read `Site.log` instead."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        site, asked = self.site, self.headers.get("Range")
        site.log.append((self.command, self.path, asked))
        self.close_connection = True
        if not body and not site.head:
            return self.plain(405)
        if body and site.status:
            return self.plain(site.status.pop(0))
        data = site.files.get(self.path)
        if data is None:
            return self.plain(404)
        tag = site.etags.get(self.path, '"' + hashlib.md5(data).hexdigest() + '"')
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and site.ranges else 0
        if self.headers.get("If-Range", tag) != tag:
            start = 0
        if start and start >= len(data):
            return self.plain(416, {"Content-Range": f"bytes */{len(data)}"})
        self.send_response(206 if start else 200)
        self.send_header("ETag", tag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if site.lengths:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if body:
            end = start + site.cuts.pop(0) if site.cuts else len(data)
            with suppress(ConnectionError):  # the client may have had enough
                self.wfile.write(data[start:end])

    def plain(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def make_site() -> Iterator[MakeSite]:
    servers: list[ThreadingHTTPServer] = []

    def make() -> Site:
        site = Site()
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"site": site}))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        site.url = f"http://127.0.0.1:{server.server_port}"
        return site

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


class Recorder:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, int | None]] = []
        self.notes: list[str] = []

    def progress(self, stage: str, done: int, total: int | None) -> None:
        self.stages.append((stage, done, total))

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def watcher() -> Recorder:
    return Recorder()


RETRY = Retry(rounds=2, timeout=5, sleep=lambda seconds: None)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


# ---- one file -----------------------------------------------------------------------------------------


def fetch_big(site: Site, target: Path, watcher: Recorder, *more: Site, sum: str = md5(BIG)) -> None:
    fetch([f"{s.url}/big" for s in (site, *more)], target, sum, watcher, RETRY)


def test_a_cut_connection_is_resumed_and_not_started_over(
    make_site: MakeSite, tmp_path: Path, watcher: Recorder
) -> None:
    site = make_site()
    site.files["/big"], site.cuts = BIG, [1_500_000, 700_000]
    fetch_big(site, tmp_path / "big", watcher)
    assert (tmp_path / "big").read_bytes() == BIG
    assert site.gets() == [("/big", None), ("/big", "bytes=1500000-"), ("/big", "bytes=2200000-")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big"]
    assert watcher.stages[-1] == ("checking", len(BIG), len(BIG))
    assert any("cut at 1500000 of 3000000" in note for note in watcher.notes)


def test_a_later_run_goes_on_where_an_earlier_one_stopped(
    make_site: MakeSite, tmp_path: Path, watcher: Recorder
) -> None:
    site = make_site()
    site.files["/big"], site.cuts = BIG, [1_000_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="no mirror could give the file"):
        fetch_big(site, tmp_path / "big", watcher)
    assert (tmp_path / "big.part").stat().st_size == 1_000_000
    site.log.clear()
    site.cuts.clear()
    fetch_big(site, tmp_path / "big", watcher)
    assert site.gets() == [("/big", "bytes=1000000-")]
    assert (tmp_path / "big").read_bytes() == BIG


def test_a_server_without_ranges_starts_over(make_site: MakeSite, tmp_path: Path, watcher: Recorder) -> None:
    site = make_site()
    site.files["/big"], site.cuts, site.ranges = BIG, [1_500_000], False
    fetch_big(site, tmp_path / "big", watcher)
    assert (tmp_path / "big").read_bytes() == BIG
    assert len(site.gets()) == 2


def test_a_file_that_changed_is_not_joined_with_the_old_one(
    make_site: MakeSite, tmp_path: Path, watcher: Recorder
) -> None:
    site, new = make_site(), bytes(reversed(BIG))
    site.files["/big"], site.cuts = BIG, [1_500_000, 0, 0, 0]
    with pytest.raises(DownloadError):
        fetch_big(site, tmp_path / "big", watcher)
    site.cuts.clear()
    site.files["/big"] = new  # another ETag
    fetch_big(site, tmp_path / "big", watcher, sum=md5(new))
    assert (tmp_path / "big").read_bytes() == new


def test_416_for_a_file_that_became_shorter_starts_over(make_site: MakeSite, tmp_path: Path, watcher: Recorder) -> None:
    site, short = make_site(), BIG[:1000]
    site.files["/big"], site.etags["/big"] = BIG, '"same"'
    site.cuts = [1_500_000, 0, 0, 0]
    with pytest.raises(DownloadError):
        fetch_big(site, tmp_path / "big", watcher)
    site.cuts.clear()
    site.files["/big"] = short
    fetch_big(site, tmp_path / "big", watcher, sum=md5(short))
    assert (tmp_path / "big").read_bytes() == short


def test_a_whole_partial_file_is_only_checked(make_site: MakeSite, tmp_path: Path, watcher: Recorder) -> None:
    site = make_site()
    site.files["/big"] = BIG
    (tmp_path / "big.part").write_bytes(BIG)
    (tmp_path / "big.part.json").write_text(f'{{"url": "x", "size": {len(BIG)}, "validator": null}}')
    fetch_big(site, tmp_path / "big", watcher)
    assert site.gets() == []
    assert (tmp_path / "big").read_bytes() == BIG


def test_the_next_mirror_goes_on_where_a_dead_one_stopped(
    make_site: MakeSite, tmp_path: Path, watcher: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_site(), make_site()
    first.files["/big"], second.files["/big"] = BIG, BIG
    first.cuts = [1_500_000]
    second.etags["/big"] = '"another"'

    real = Handler.answer

    def dies_after_one(self: Handler, body: bool) -> None:
        if self.site is first and len(first.gets()) == 1:
            first.status = [503] * 10
        real(self, body)

    monkeypatch.setattr(Handler, "answer", dies_after_one)
    fetch_big(first, tmp_path / "big", watcher, second)
    assert (tmp_path / "big").read_bytes() == BIG
    assert second.gets() == [("/big", "bytes=1500000-")]


@pytest.mark.parametrize("status", [404, 403, 500])
def test_another_mirror_takes_over(make_site: MakeSite, tmp_path: Path, watcher: Recorder, status: int) -> None:
    first, second = make_site(), make_site()
    first.status, first.files["/big"], second.files["/big"] = [status] * 9, BIG, BIG
    fetch_big(first, tmp_path / "big", watcher, second)
    assert (tmp_path / "big").read_bytes() == BIG
    assert len(first.gets()) == 1
    assert str(status) in watcher.notes[0]


def test_a_mirror_that_is_not_there_is_passed_over(make_site: MakeSite, tmp_path: Path, watcher: Recorder) -> None:
    dead, alive = make_site(), make_site()
    alive.files["/big"] = BIG
    urls = ["http://127.0.0.1:9/big", "ftp://127.0.0.1/big", f"{dead.url}/gone", f"{alive.url}/big"]
    fetch(urls, tmp_path / "big", md5(BIG), watcher, RETRY)
    assert (tmp_path / "big").read_bytes() == BIG


def test_a_wrong_checksum_is_an_error_and_leaves_nothing(
    make_site: MakeSite, tmp_path: Path, watcher: Recorder
) -> None:
    site, other = make_site(), make_site()
    site.files["/big"], other.files["/big"] = BIG[:-1] + b"x", b"<html>log in first</html>"
    with pytest.raises(DownloadError, match="wrong checksum") as caught:
        fetch_big(site, tmp_path / "big", watcher, other)
    assert md5(BIG) in caught.value.message
    assert site.url in caught.value.message
    assert other.url in caught.value.message
    assert "--mirror" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_of_one_mirror_sends_to_the_next(
    make_site: MakeSite, tmp_path: Path, watcher: Recorder
) -> None:
    site, other = make_site(), make_site()
    site.files["/big"], other.files["/big"] = BIG[:-1] + b"x", BIG
    fetch_big(site, tmp_path / "big", watcher, other)
    assert (tmp_path / "big").read_bytes() == BIG


def test_a_spoilt_beginning_does_not_condemn_the_mirror(make_site: MakeSite, tmp_path: Path, watcher: Recorder) -> None:
    site = make_site()
    site.files["/big"] = BIG
    (tmp_path / "big.part").write_bytes(bytes(1_000_000))
    (tmp_path / "big.part.json").write_text(f'{{"url": "x", "size": {len(BIG)}, "validator": null}}')
    fetch_big(site, tmp_path / "big", watcher)
    assert site.gets() == [("/big", "bytes=1000000-"), ("/big", None)]
    assert (tmp_path / "big").read_bytes() == BIG


def test_waits_grow_between_the_rounds(tmp_path: Path, watcher: Recorder) -> None:
    waits: list[float] = []
    with pytest.raises(DownloadError):
        fetch(
            ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"],
            tmp_path / "x",
            "0",
            watcher,
            Retry(rounds=4, sleep=waits.append),
        )
    assert waits == [1, 2, 4, 8]


def test_a_full_disk_is_no_reason_to_ask_other_mirrors(
    make_site: MakeSite, tmp_path: Path, watcher: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    site.files["/big"] = BIG
    real = Path.open

    def full(self: Path, mode: str = "r") -> object:
        if self.suffix == ".part":
            raise OSError(28, "No space left on device")
        return real(self, mode)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DownloadError, match="no space left"):
        fetch_big(site, tmp_path / "big", watcher)
    assert len(site.gets()) == 1


def test_a_folder_that_must_not_be_written_is_named() -> None:
    error = disk_error(Path("/data"), PermissionError(13, "Permission denied", "/data/x"))
    assert "/data/x: cannot be written (Permission denied)" in error.message


# ---- archives -----------------------------------------------------------------------------------------


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "hostile",
    [
        member("/abs/evil"),
        member("LibriSpeech/../../evil"),
        member("../evil"),
        member("LibriSpeech/link", tarfile.SYMTYPE, "/etc"),
        member("LibriSpeech/link", tarfile.SYMTYPE, "../.."),
        member("LibriSpeech/hard", tarfile.LNKTYPE, "../../evil"),
        member("LibriSpeech/dev", tarfile.CHRTYPE),
        member("LibriSpeech/block", tarfile.BLKTYPE),
        member("LibriSpeech/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.type!r}-{info.name}",
)
def test_hostile_archives_are_refused_and_write_nothing_outside(
    tmp_path: Path, watcher: Recorder, hostile: tarfile.TarInfo
) -> None:
    home = tmp_path / "a" / "b"
    home.mkdir(parents=True)
    path = archive(tmp_path / "x.tar.gz", (hostile, b""), (member("LibriSpeech/link/evil"), b"evil"))
    with pytest.raises(DownloadError, match=r"x\.tar\.gz: refused"):
        unpack(path, home / "c", watcher)
    assert [p for p in tmp_path.rglob("*") if "evil" in p.name] == []
    assert not Path("/abs/evil").exists()


def test_permissions_from_the_archive_are_tamed(tmp_path: Path, watcher: Recorder) -> None:
    info = member("LibriSpeech/x")
    info.mode = 0o6777
    unpack(archive(tmp_path / "x.tar.gz", (info, b"data")), tmp_path / "to", watcher)
    assert (tmp_path / "to/LibriSpeech/x").stat().st_mode & 0o7022 == 0
    assert watcher.stages[-1][0] == "unpacking"
    assert watcher.stages[-1][1] == (tmp_path / "x.tar.gz").stat().st_size


@pytest.mark.parametrize("damage", ["cut", "noise", "not an archive"])
def test_damaged_archives_are_an_error(tmp_path: Path, watcher: Recorder, damage: str) -> None:
    path = archive(tmp_path / "x.tar.gz", (member("LibriSpeech/x"), RNG.bytes(200_000)))
    data = path.read_bytes()
    path.write_bytes({"cut": data[:100_000], "noise": data[:50_000] + bytes(99), "not an archive": b"<html>"}[damage])
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        unpack(path, tmp_path / "to", watcher)


# ---- LibriSpeech --------------------------------------------------------------------------------------

# id -> transcript; written in an order that is not the sorted one
SPEECH = {
    "84-121123-0001": "AND SO ON",
    "84-121123-0000": "GO",
    "174-50561-0000": "FORGOTTEN TOO",
    "174-50561-0001": "HE SAID",
    "1272-128104-0000": "MISTER QUILTER",
}
IN_ORDER = sorted(SPEECH)


def flac(seed: int) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, 1600).astype(np.float32)
    soundfile.write(buffer, noise, 16_000, format="FLAC")
    return buffer.getvalue()


def tiny_part(name: str) -> bytes:
    """An archive in LibriSpeech's layout."""
    files: dict[str, bytes] = {"README.TXT": b"about\n", "SPEAKERS.TXT": b"; ids\n"}
    transcripts: dict[str, str] = {}
    for seed, (utterance, text) in enumerate(SPEECH.items()):
        speaker, chapter, _ = utterance.split("-")
        files[f"{name}/{speaker}/{chapter}/{utterance}.flac"] = flac(seed)
        row = f"{name}/{speaker}/{chapter}/{speaker}-{chapter}.trans.txt"
        transcripts[row] = transcripts.get(row, "") + f"{utterance} {text}\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, data in [*files.items(), *((path, text.encode()) for path, text in transcripts.items())]:
            info = tarfile.TarInfo(f"LibriSpeech/{path}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


TRAIN, DEV = tiny_part("train-clean-5"), tiny_part("dev-clean")
PARTS = {"train-clean-5": Part("train-clean-5", 31, md5(TRAIN)), "dev-clean": Part("dev-clean", 12, md5(DEV))}


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    site = make_site()
    site.files = {"/r/31/train-clean-5.tar.gz": TRAIN, "/r/12/dev-clean.tar.gz": DEV}
    return site


def get(site: Site, to: Path, watcher: Recorder, *names: str, limit: int | None = None) -> list[Fetched]:
    parts = [PARTS[name] for name in names or ("train-clean-5",)]
    return list(corpora.download(parts, to, watcher, limit=limit, mirrors=[site.url + "/r/"], retry=RETRY))


def utterances(folder: Path) -> tuple[list[str], list[str]]:
    """Ids of the recordings, and ids in the transcripts, both sorted."""
    rows = [row.split()[0] for path in folder.rglob("*.trans.txt") for row in path.read_text().splitlines()]
    return sorted(path.stem for path in folder.rglob("*.flac")), sorted(rows)


def test_parts_are_fetched_and_unpacked(site: Site, tmp_path: Path, watcher: Recorder) -> None:
    train, dev = get(site, tmp_path, watcher, "train-clean-5", "dev-clean")
    assert train.folder == tmp_path / "LibriSpeech" / "train-clean-5"
    assert utterances(train.folder) == utterances(dev.folder) == (IN_ORDER, IN_ORDER)
    assert train.new
    assert train.utterances == 5
    assert (tmp_path / "LibriSpeech" / "SPEAKERS.TXT").read_bytes() == b"; ids\n"
    assert [path.name for path in tmp_path.iterdir()] == ["LibriSpeech"]
    assert {stage for stage, _, _ in watcher.stages} == {"fetching", "checking", "unpacking"}


def test_what_is_complete_is_left_alone(site: Site, tmp_path: Path, watcher: Recorder) -> None:
    get(site, tmp_path, watcher)
    site.log.clear()
    (again,) = get(site, tmp_path, watcher)
    assert not again.new
    assert again.utterances == 5
    assert site.log == []


@pytest.mark.parametrize("limit", [1, 3, 5, 9])
def test_limit_keeps_the_first_by_id(site: Site, tmp_path: Path, watcher: Recorder, limit: int) -> None:
    (part,) = get(site, tmp_path, watcher, limit=limit)
    assert utterances(part.folder) == (IN_ORDER[:limit], IN_ORDER[:limit])
    assert part.utterances == min(limit, 5)
    assert all(any(path.iterdir()) for path in part.folder.rglob("*") if path.is_dir())
    site.log.clear()
    assert not get(site, tmp_path, watcher, limit=limit)[0].new
    assert site.log == []


def test_a_larger_limit_fetches_again_and_a_smaller_one_removes_nothing(
    site: Site, tmp_path: Path, watcher: Recorder
) -> None:
    get(site, tmp_path, watcher, limit=2)
    (part,) = get(site, tmp_path, watcher, limit=4)
    assert utterances(part.folder) == (IN_ORDER[:4], IN_ORDER[:4])
    with pytest.raises(DownloadError, match="holds 4 utterances already"):
        get(site, tmp_path, watcher, limit=3)
    (part,) = get(site, tmp_path, watcher)
    assert utterances(part.folder)[0] == IN_ORDER
    with pytest.raises(DownloadError, match="holds 5 utterances already"):
        get(site, tmp_path, watcher, limit=3)


def test_a_folder_that_lost_a_file_is_fetched_again(site: Site, tmp_path: Path, watcher: Recorder) -> None:
    (part,) = get(site, tmp_path, watcher)
    next(part.folder.rglob("*.flac")).unlink()
    assert get(site, tmp_path, watcher)[0].new
    assert utterances(part.folder)[0] == IN_ORDER


def test_a_folder_of_somebody_else_is_not_touched(site: Site, tmp_path: Path, watcher: Recorder) -> None:
    mine = tmp_path / "LibriSpeech/train-clean-5/84/121123/84-121123-0000.flac"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(DownloadError, match="did not put it there") as caught:
        get(site, tmp_path, watcher)
    assert "steno data prepare" in caught.value.hint
    assert mine.read_bytes() == b"mine"
    assert site.log == []


def test_an_interrupted_unpacking_is_not_taken_for_whole(
    site: Site, tmp_path: Path, watcher: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(archive: Path, to: Path, watcher: Recorder) -> None:
        unpack(archive, to, watcher)
        next(to.rglob("*.flac")).unlink()
        raise Killed

    monkeypatch.setattr(librispeech, "unpack", dies)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # as after kill -9
    with pytest.raises(Killed):
        get(site, tmp_path, watcher)
    assert not (tmp_path / "LibriSpeech").exists()
    assert list((tmp_path / ".download").rglob("*.flac"))
    monkeypatch.undo()
    site.log.clear()
    (part,) = get(site, tmp_path, watcher)
    assert utterances(part.folder)[0] == IN_ORDER
    assert site.gets() == []  # the archive was there and whole
    assert [path.name for path in tmp_path.iterdir()] == ["LibriSpeech"]


def test_a_small_disk_is_told_before_the_first_byte(
    site: Site, tmp_path: Path, watcher: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10_000, 8_000, 2_000))
    with pytest.raises(DownloadError, match="not enough room") as caught:
        get(site, tmp_path, watcher, "train-clean-5", "dev-clean")
    assert re.search(r"0\.0 MB are needed for train-clean-5, dev-clean .* are missing", caught.value.message)
    assert str(tmp_path) in caught.value.message
    assert site.gets() == []


def test_the_room_counts_one_archive_at_a_time_and_what_is_there(
    site: Site, tmp_path: Path, watcher: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [len(TRAIN), len(DEV)]
    needed = int(sizes[0] * 1.1) + int(sizes[1] * 1.1) + sizes[1]
    free = [needed - 1]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, free[0]))
    with pytest.raises(DownloadError, match="not enough room"):
        get(site, tmp_path, watcher, "train-clean-5", "dev-clean")
    free[0] = needed
    assert len(get(site, tmp_path, watcher, "train-clean-5", "dev-clean")) == 2


def test_a_size_that_is_not_told_is_said_and_does_not_stop(site: Site, tmp_path: Path, watcher: Recorder) -> None:
    site.lengths = site.head = False
    assert get(site, tmp_path, watcher)[0].utterances == 5
    assert any("does not tell its size" in note for note in watcher.notes)


def test_an_archive_without_the_part_is_an_error(site: Site, tmp_path: Path, watcher: Recorder) -> None:
    site.files["/r/31/train-clean-5.tar.gz"] = DEV
    part = Part("train-clean-5", 31, md5(DEV))
    with pytest.raises(DownloadError, match="holds no LibriSpeech/train-clean-5"):
        list(corpora.download([part], tmp_path, watcher, mirrors=[site.url + "/r"], retry=RETRY))
    assert list(tmp_path.iterdir()) == []


def test_two_downloads_never_write_the_same_folder(site: Site, tmp_path: Path, watcher: Recorder) -> None:
    first = corpora.download(list(PARTS.values()), tmp_path, watcher, mirrors=[site.url + "/r"], retry=RETRY)
    next(first)
    with pytest.raises(DownloadError, match="another download"):
        get(site, tmp_path, watcher)
    assert len(list(first)) == 1


def test_the_catalogue_has_every_part() -> None:
    assert set(corpora.PARTS) == {
        *("train-clean-100", "train-clean-360", "train-other-500", "dev-clean", "dev-other"),
        *("test-clean", "test-other", "train-clean-5", "dev-clean-2"),
    }
    assert len({part.md5 for part in corpora.PARTS.values()}) == 9
    assert all(re.fullmatch("[0-9a-f]{32}", part.md5) for part in corpora.PARTS.values())
    assert corpora.PARTS["dev-clean-2"].urls(["https://x/resources/"]) == ["https://x/resources/31/dev-clean-2.tar.gz"]


# ---- the command --------------------------------------------------------------------------------------


def test_the_command_fetches_and_names_the_next_one(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(librispeech.PARTS, "train-clean-5", PARTS["train-clean-5"])
    arguments = ["data", "download", "librispeech", "--part", "train-clean-5", "--limit", "2"]
    arguments += ["--to", str(tmp_path / "my data"), "--mirror", "http://127.0.0.1:9", "--mirror", site.url + "/r"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    folder = tmp_path / "my data/LibriSpeech/train-clean-5"
    assert utterances(folder)[0] == IN_ORDER[:2]
    assert f"steno data prepare '{folder}' --out '{tmp_path / 'my data' / 'train-clean-5.jsonl'}'" in result.output
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "complete already" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["librispeech", "--part", "train-clean-7"], "no part 'train-clean-7'"),
        (["switchboard", "--part", "train-clean-5"], "no corpus 'switchboard'"),
    ],
)
def test_the_command_names_what_it_does_not_know(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["data", "download", *arguments, "--to", str(tmp_path / "x")])
    assert result.exit_code != 0
    assert message in str(result.exception)
    assert not (tmp_path / "x").exists()


def test_a_stopped_command_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*arguments: object, **options: object) -> list[Fetched]:
        raise KeyboardInterrupt

    monkeypatch.setattr(corpora, "download", stopped)
    result = CliRunner().invoke(app, ["data", "download", "librispeech", "--part", "dev-clean", "--to", str(tmp_path)])
    assert result.exit_code == 130
    assert "goes on from here" in result.output


def test_the_bars_follow_the_stages() -> None:
    from rich.console import Console

    out = io.StringIO()
    with ConsoleWatcher(Console(file=out, force_terminal=True, width=100)) as bars:
        bars.progress("fetching", 500_000, 1_000_000)
        bars.progress("fetching", 1_000_000, 1_000_000)
        bars.progress("unpacking", 10, 20)
        bars.note("a [bracketed] mirror does not answer")
    assert "1.0/1.0 MB" in out.getvalue()
    assert "10/20 bytes" in out.getvalue()
    assert "a [bracketed] mirror does not answer" in out.getvalue()
