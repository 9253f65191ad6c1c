"""Training on shards, in parts of a batch, and under a torchrun that starts processes again."""

import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tiny
from test_distributed import read, torchrun
from torch.distributed import HashStore

from steno.data.manifest import Manifest, Utterance, write_manifest
from steno.data.shards.write import shard
from steno.errors import RecipeError, StenoError
from steno.training import elastic
from steno.training.run_folder import RECIPE
from steno.training.seen import SEEN, Seen, SeenLog
from steno.training.trainer import LAST

NO_DROPOUT: dict[str, Any] = {"model": {"dropout": 0.0}}


@pytest.fixture(scope="module")
def sharded(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tones in four shards. Not to be changed."""
    folder = tmp_path_factory.mktemp("sharded") / "train"
    done = shard(Manifest(tones / "train.jsonl"), folder, size=180_000)
    assert done.shards >= 4
    return folder


def seen(run_dir: Path) -> list[tuple[str, ...]]:
    return [tuple(line.split("\t")) for line in (run_dir / SEEN).read_text().splitlines()]


def test_shards_are_trained_on_and_resumed(sharded: Path, train_tiny: Any, tmp_path: Path) -> None:
    changes = {"data": {"train": str(sharded), "shuffle_shards": 2}, "training": {"epochs": 2, "log_utterances": True}}
    result, whole = train_tiny("whole", **changes)
    assert result.scores["dev"].utterances
    rows = seen(tmp_path / "whole")
    ids = sorted(utterance.id for utterance in Manifest(sharded))
    for epoch in "12":
        assert sorted(row[3] for row in rows if row[0] == epoch) == ids
    assert [row[3] for row in rows if row[0] == "1"] != [row[3] for row in rows if row[0] == "2"]
    again, _ = train_tiny("again", **changes)
    assert (again.model / "model.safetensors").read_bytes() == (result.model / "model.safetensors").read_bytes()
    # Windows of two shards: no batch holds utterances of more.
    shard_of = {u.id: u.audio.parent.name.partition(":")[0] for u in Manifest(sharded)}
    steps = {row[1] for row in rows}
    assert all(len({shard_of[row[3]] for row in rows if row[1] == step}) <= 2 for step in steps)
    assert len(whole.losses) == len(steps)


def test_a_manifest_has_no_shards_to_shuffle(train_tiny: Any) -> None:
    with pytest.raises(RecipeError, match="shuffle_shards does nothing"):
        train_tiny("run", data={"shuffle_shards": 2})


def test_parts_of_a_batch_give_the_losses_of_the_whole(train_tiny: Any, tones: Path, tmp_path: Path) -> None:
    """Also where one of the parts holds an utterance that cannot be used."""
    rows = [*Manifest(tones / "train.jsonl")][:10]
    rows.append(tiny.record(tmp_path / "good.wav", "abcd"))
    rows.append(tiny.record(tmp_path / "overlong.wav", "ab"))
    rows[-1] = Utterance("overlong", rows[-1].audio, rows[-1].duration, "aabb" * 20)
    write_manifest(tmp_path / "train.jsonl", rows)
    changes: dict[str, Any] = {
        **NO_DROPOUT,
        "data": {"train": str(tmp_path / "train.jsonl"), "batch_size": 5},
        "augment": {"speed": [0.9, 1.0], "mask": {"time_width": 0.2}},
    }
    _, whole = train_tiny("whole", training={"epochs": 2, "max_bad": 0.5}, **changes)
    for parts in (2, 7):
        _, cut = train_tiny(f"cut{parts}", training={"epochs": 2, "max_bad": 0.5, "accumulate": parts}, **changes)
        assert cut.losses == pytest.approx(whole.losses, rel=1e-5)
        assert cut.said("skipped overlong")


def test_kill_9_of_one_of_two_processes_in_mid_epoch(
    sharded: Path, tones: Path, train_tiny: Any, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {
        **NO_DROPOUT,
        "data": {"train": str(sharded), "batch_size": 5},
        "training": {"epochs": 3, "checkpoint_seconds": 1000, "log_utterances": True},
    }
    _, alone = train_tiny("alone", **changes)
    recipe = tiny.write_recipe(tmp_path / "two.yaml", tones, **changes)
    steps_an_epoch = len(alone.losses) // 3
    done = torchrun(
        recipe,
        tmp_path / "two",
        tmp_path / "losses",
        send=f"{int(signal.SIGKILL)}@{steps_an_epoch + 3}",
        rank=1,
        options=["--max-restarts", "1"],
    )
    assert done.returncode == 0, done.stderr
    assert "resumed at epoch 2, batch 1" in done.stdout
    # The log has each utterance once an epoch, as if nothing had been; the weights agree.
    rows = seen(tmp_path / "two")
    assert Counter((row[0], row[3]) for row in rows) == Counter((row[0], row[3]) for row in seen(tmp_path / "alone"))
    assert {row[2] for row in rows} == {"0", "1"}
    losses = read(tmp_path / "losses")
    assert len(losses) > len(alone.losses)
    assert losses[-2 * steps_an_epoch :] == pytest.approx(alone.losses[steps_an_epoch:], rel=1e-4)


def test_the_log_forgets_what_the_weights_have_forgotten(tmp_path: Path) -> None:
    log = SeenLog(tmp_path, 0)
    log.write(1, 1, [[Seen("a", True)], [Seen("b\tb", False)]])
    log.write(1, 2, [[Seen("c", True)], []])
    (tmp_path / SEEN).open("a").write("1\t2\t1\tha")
    SeenLog(tmp_path, 2)
    assert seen(tmp_path) == [
        ("1", "1", "0", "a", "used"),
        ("1", "1", "1", "b b", "skipped"),
        ("1", "2", "0", "c", "used"),
    ]
    SeenLog(tmp_path, 1)
    assert len(seen(tmp_path)) == 2


# ---- who goes on with whose run ----------------------------------------------------------------------------------


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the environment that torchrun gives its processes."""

    def launch(job: str = "none", restart: int = 0) -> None:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", job)
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restart))

    return launch


def test_a_torchrun_knows_its_own_run(launched: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not elastic.is_own(tmp_path)
    launched()
    assert not elastic.is_own(tmp_path)
    elastic.claim(tmp_path)
    launched(restart=1)
    assert elastic.is_own(tmp_path)
    monkeypatch.setattr(os, "getppid", lambda: 1)  # another torchrun
    assert not elastic.is_own(tmp_path)


def test_the_next_attempt_of_a_named_job_may_run_on_another_machine(
    launched: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched("job-7")
    elastic.claim(tmp_path)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert not elastic.is_own(tmp_path)  # a new submission under the old name
    launched("job-7", restart=1)
    assert elastic.is_own(tmp_path)
    launched("job-8", restart=1)
    assert not elastic.is_own(tmp_path)


def test_a_refused_run_stays_refused_at_the_next_attempt(launched: Any, train_tiny: Any, tmp_path: Path) -> None:
    train_tiny("run", training={"epochs": 1})
    before = (tmp_path / "run" / LAST).read_bytes()
    for restart in (0, 1):
        launched("job-7", restart)
        with pytest.raises(StenoError, match="already a run"):
            train_tiny("run", training={"epochs": 1})
    assert (tmp_path / "run" / LAST).read_bytes() == before


def test_an_own_run_goes_on_whatever_was_asked_first(launched: Any, train_tiny: Any, tmp_path: Path) -> None:
    launched("job-7")
    train_tiny("run", training={"epochs": 1})
    launched("job-7", restart=1)
    _, again = train_tiny("run", overwrite=True, training={"epochs": 1})
    assert again.losses == []
    (tmp_path / "run" / LAST).unlink()  # killed before its first checkpoint
    assert (tmp_path / "run" / RECIPE).is_file()
    _, anew = train_tiny("run", training={"epochs": 1})
    assert anew.losses


def test_processes_meet_whatever_dead_ones_have_left() -> None:
    store = HashStore()
    for dead in range(3):  # an attempt that came as far as to ask
        store.set("steno/word/1", f"dead{dead}")
    found = []
    for _ in range(2):
        names: dict[int, str] = {}

        def join(rank: int, names: dict[int, str] = names) -> None:
            names[rank] = elastic.meet(store, rank, 3)

        threads = [threading.Thread(target=join, args=(rank,)) for rank in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert len(names) == 3
        assert len(set(names.values())) == 1
        found.append(names[0])
    assert found[0] != found[1]
