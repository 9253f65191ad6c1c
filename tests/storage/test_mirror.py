"""A folder here and its copy in a store, which never refers to what is not there."""

import threading

import pytest

from steno.errors import StorageError
from steno.storage import mirror, objects
from steno.storage.mirror import Mirror, Pushing


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def write(folder, **files):
    for name, text in files.items():
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        partial = folder / "checkpoints" / f"{name}.part"
        partial.write_text(text)
        partial.replace(folder / "checkpoints" / name)


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Become another machine: one with a cache of its own."""

    def move(name):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))

    return move


def test_what_is_pushed_here_is_pulled_there(store, elsewhere):
    here = Mirror(store.at("runs/one"))
    here.pull()
    write(here.folder, last="1", best="1")
    (here.folder / "lock").touch()
    (here.folder / ".hidden").touch()
    here.push()
    assert here.names() == {"checkpoints/last", "checkpoints/best"}
    elsewhere("another")
    there = Mirror(store.at("runs/one"))
    there.pull()
    assert there.folder != here.folder
    assert contents(there.folder) == {"checkpoints/last": b"1", "checkpoints/best": b"1"}
    write(there.folder, last="2", better="2")
    (there.folder / "checkpoints" / "best").unlink()
    there.push()
    elsewhere("cache")
    here.pull()
    assert contents(here.folder) == {"checkpoints/last": b"2", "checkpoints/better": b"2"}


def test_what_was_not_pushed_stays_here_unless_somebody_else_wrote(s3, elsewhere):
    here = Mirror(s3.at("run"))
    here.pull()
    write(here.folder, last="1")
    here.push()
    write(here.folder, last="2")  # and then the store was away
    here.pull()
    assert contents(here.folder) == {"checkpoints/last": b"2"}
    elsewhere("another")
    there = Mirror(s3.at("run"))
    there.pull()
    write(there.folder, last="3")
    there.push()
    elsewhere("cache")
    here.pull()
    assert contents(here.folder) == {"checkpoints/last": b"3"}


def test_files_go_in_the_order_of_their_writing_and_deletions_last(s3, monkeypatch):
    here = Mirror(s3.at("run"))
    here.pull()
    write(here.folder, old="1", last="old")
    here.push()
    (here.folder / "checkpoints" / "old").unlink()
    write(here.folder, new="2")
    write(here.folder, last="new")
    done = []
    upload, delete = objects.upload, objects.delete
    monkeypatch.setattr(objects, "upload", lambda file, place: (done.append(f"+ {file.name}"), upload(file, place))[1])
    monkeypatch.setattr(objects, "delete", lambda url: (done.append(f"- {url.rpartition('/')[2]}"), delete(url))[1])
    here.push()
    assert done == ["+ new", "+ last", "- old"]
    assert here.names() == {"checkpoints/new", "checkpoints/last"}


def test_a_push_that_is_cut_leaves_the_former_state_and_goes_on_later(s3, monkeypatch):
    here = Mirror(s3.at("run"))
    here.pull()
    write(here.folder, one="1", last="one")
    here.push()
    write(here.folder, two="2")
    write(here.folder, last="two")
    upload = objects.upload

    def failing(source, place):
        if place.key.endswith("last"):
            raise StorageError("away")
        return upload(source, place)

    monkeypatch.setattr(objects, "upload", failing)
    with pytest.raises(StorageError):
        here.push()
    assert here.read("checkpoints/last") == b"one"  # and what it refers to is there
    assert "checkpoints/one" in here.names()
    monkeypatch.setattr(objects, "upload", upload)
    here.push()
    assert here.read("checkpoints/last") == b"two"


def test_a_picture_is_of_one_moment(tmp_path):
    """A writer replaces `last`, and removes what it referred to, as fast as it can: a picture is never torn."""
    folder = tmp_path / "run"
    write(folder, n0="", last="n0")
    stop = threading.Event()

    def writer():
        number = 0
        while not stop.is_set():
            number += 1
            write(folder, **{f"n{number}": ""})
            write(folder, last=f"n{number}")
            (folder / "checkpoints" / f"n{number - 1}").unlink()
            stop.wait(0.002)

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        for number in range(30):
            picture = tmp_path / f"picture-{number}"
            names = mirror._picture(folder, picture)
            assert f"checkpoints/{(picture / 'checkpoints' / 'last').read_text()}" in names
    finally:
        stop.set()
        thread.join()


def test_pushing_goes_on_by_itself_and_outlives_an_outage(s3, monkeypatch):
    monkeypatch.setattr(mirror, "POLL_SECONDS", 0.02)
    said = []
    here = Mirror(s3.at("run"))
    here.pull()
    told = threading.Event()

    def say(text):
        said.append(text)
        told.set()

    with Pushing(here, "checkpoints/last", say):
        s3.proxy.cut(times=10**6, after=0)
        write(here.folder, last="1")
        assert told.wait(30)
        told.clear()
        s3.proxy.cut(times=0, after=0)
        assert told.wait(30)
        assert here.read("checkpoints/last") == b"1"
        write(here.folder, last="2")
    assert here.read("checkpoints/last") == b"2"
    assert "not in the store yet" in said[0]
    assert "in the store again" in said[1]


def test_the_last_push_must_succeed(s3):
    here = Mirror(s3.at("run"))
    here.pull()
    pushing = Pushing(here, "x", print)
    pushing.__enter__()
    write(here.folder, last="1")
    s3.proxy.cut(times=10**6, after=0)
    with pytest.raises(StorageError, match="the folder is not whole there") as told:
        pushing.__exit__()
    assert str(here.folder) in told.value.hint


def test_clearing_takes_what_is_at_the_top_last(s3, monkeypatch):
    here = Mirror(s3.at("run"))
    here.pull()
    write(here.folder, last="1")
    (here.folder / "recipe.yaml").write_text("x")
    here.push()
    done = []
    delete = objects.delete
    monkeypatch.setattr(objects, "delete", lambda path: (done.append(path.rpartition("/")[2]), delete(path))[1])
    here.clear()
    assert done == ["last", "recipe.yaml"]
    assert here.names() == set()
    assert contents(here.folder) == {}
