"""Training recordings aligned with their phonemes, and training on what that says."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from steno.data.alignment import Alignment
from steno.data.loading import Item, collate
from steno.data.manifest import Manifest, write_manifest
from steno.errors import ModelError, RecipeError
from steno.models.registry import Heads
from steno.phonemes import FrameConfig, Pronunciations
from steno.text import words
from steno.training.flat_start import flat_start
from steno.training.gaussians import Mixtures
from steno.training.loss import LossWeights, frame_losses, training_losses
from steno.training.recipe import Recipe, load_recipe
from steno.training.viterbi import Graph, best_states

CONFORMER = {"architecture": "conformer", "size": 24, "layers": 2, "heads": 2, "kernel": 3, "stem_channels": 8}
PHONEMES = {"block": 1, "weight": 0.3, "symbols": list("abcd"), "frames": {"weight": 0.5}}
SYMBOLS = ("a", "b", "c", "d")


def spelled_by_letters(*manifests: Path) -> Pronunciations:
    said = {word for path in manifests for row in Manifest(path) for word in words(row.text or "")}
    return Pronunciations({word: tuple(word) for word in said}, SYMBOLS)


def recipe(tones: Path, folder: Path, **changes: Any) -> Recipe:
    return load_recipe(tiny.write_recipe(folder / "r.yaml", tones, model=CONFORMER, phonemes=PHONEMES, **changes))


# ---- the way through the states ------------------------------------------------------------------------------------


def ways(graph: Graph, frames: int) -> Iterator[list[int]]:
    """All ways through a graph, as places in it."""
    last = len(graph.states_s) - 1
    begun = [[place] for place in (0, 3)]
    while begun:
        way = begun.pop()
        if len(way) == frames:
            if way[-1] in (last, last - 3):
                yield way
            continue
        following = [way[-1], way[-1] + 1]
        if way[-1] + 4 <= last and graph.skips_s[way[-1] + 4]:
            following.append(way[-1] + 4)
        begun += [[*way, place] for place in following if place <= last]


def test_no_other_way_is_better() -> None:
    graphs = [Graph.of([[1], [2]]), Graph.of([[2, 1]])]
    frames = [10, 8]
    log_likelihoods = torch.randn(2, 10, 9, generator=torch.Generator().manual_seed(3))
    found = best_states(log_likelihoods, frames, graphs)

    def score(row: int, places: list[int]) -> float:
        moved = np.diff(places) > 0
        heard = sum(float(log_likelihoods[row, t, graphs[row].states_s[place]]) for t, place in enumerate(places))
        return heard + float(np.where(moved, np.log(0.4), np.log(0.6)).sum())

    for row, (graph, count) in enumerate(zip(graphs, frames, strict=True)):
        best = max(ways(graph, count), key=partial(score, row))
        assert found[row].tolist() == graph.states_s[best].tolist()


def test_silence_between_words_is_left_out_where_there_is_none() -> None:
    graph = Graph.of([[1], [2]])
    assert graph.states_s.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 6, 7, 8, 0, 1, 2]
    assert graph.shortest == 6
    log_likelihoods = torch.full((1, 6, 9), -10.0)
    log_likelihoods[0, torch.arange(6), torch.arange(3, 9)] = 0.0
    assert best_states(log_likelihoods, [6], [graph])[0].tolist() == [3, 4, 5, 6, 7, 8]
    assert graph.evenly(24).tolist() == np.repeat([0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2], 2).tolist()


# ---- the Gaussians -------------------------------------------------------------------------------------------------


def test_mixtures_find_the_clusters_and_know_their_density() -> None:
    generator = torch.Generator().manual_seed(1)
    first = torch.randn(400, 2, generator=generator) * 0.3 + torch.tensor([1.0, -1.0])
    second = torch.randn(400, 2, generator=generator) * 0.5 - torch.tensor([1.0, -1.0])
    vectors = torch.cat([first, second])
    states = torch.cat([torch.zeros(800), torch.ones(0)]).long()
    mixtures = Mixtures(2, 2)
    mixtures.split()
    for _ in range(20):
        mixtures.fit(vectors, states)
    truth = MixtureSameFamily(
        Categorical(torch.tensor([0.5, 0.5])),
        Independent(Normal(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), torch.tensor([[0.3, 0.3], [0.5, 0.5]])), 1),
    )
    found = mixtures.log_likelihoods(vectors)
    assert found.shape == (800, 2)
    torch.testing.assert_close(found[:, 0].mean(), truth.log_prob(vectors).mean(), atol=0.03, rtol=0)
    assert found[:, 1].isfinite().all()  # a state that was never met


# ---- from nothing --------------------------------------------------------------------------------------------------


def test_tones_are_found_where_they_were_spoken(tones: Path, tmp_path: Path) -> None:
    path = tones / "train.jsonl"
    manifest, said = Manifest(path), list[str]()
    found = flat_start(
        recipe(tones, tmp_path), manifest, np.arange(len(manifest)), spelled_by_letters(path), said.append
    )
    assert found.aligned == len(manifest) == len(found)
    assert "aligning 24 utterances" in said[0]
    right = letters = 0
    for index, utterance in enumerate(manifest):
        states = found.states(index)
        assert len(states) == round(utterance.duration * tiny.RATE) // 160 + 1
        for number, letter in enumerate(utterance.text or ""):
            middle = 0.06 + 0.14 * number + 0.045  # seconds, as tiny.speak has it
            if letter != " ":
                letters += 1
                right += int(states[round(middle * 100)] // 3 == 1 + SYMBOLS.index(letter))
    assert right > 0.9 * letters


def test_what_cannot_be_aligned_is_left_out(tones: Path, tmp_path: Path) -> None:
    rows = [*Manifest(tones / "train.jsonl")][:3]
    short = tiny.record(tmp_path / "short.wav", "a")
    unknown = tiny.record(tmp_path / "unknown.wav", "dadada")
    rows += [short.__class__("short", short.audio, short.duration, " ".join(["abcd"] * 9)), unknown]
    gone = rows[0].__class__("gone", tmp_path / "gone.wav", 1.0, "a")
    path = tmp_path / "m.jsonl"
    write_manifest(path, [*rows, gone])
    known = Pronunciations({word: tuple(word) for row in rows[:4] for word in words(row.text or "")}, SYMBOLS)
    found = flat_start(recipe(tones, tmp_path), Manifest(path), np.arange(6), known, lambda _: None)
    assert [len(found.states(index)) > 0 for index in range(6)] == [True, True, True, False, False, False]


def test_an_alignment_is_kept_in_a_file(tmp_path: Path) -> None:
    alignment = Alignment.of([np.array([0, 1], np.int32), None, np.array([5], np.int32)])
    alignment.save(tmp_path / "a.npz")
    again = Alignment.load(tmp_path / "a.npz")
    assert [again.states(index).tolist() for index in range(3)] == [[0, 1], [], [5]]
    assert again.aligned == 2
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"a\.npz"):
        Alignment.load(tmp_path / "a.npz")


# ---- training ------------------------------------------------------------------------------------------------------


def test_the_loss_follows_the_recording_as_it_was_augmented() -> None:
    states = np.array([0, 0, 1, 1, 2, 2], np.int32)
    sounds = np.zeros(9, np.float32)
    batch = collate([Item(0, sounds, [1], [], [1], states), Item(1, sounds, [1], [], [1])])

    def loss(heard: list[int]) -> list[float]:
        sure = torch.full((2, 12, 3), -5.0)
        sure[:, torch.arange(len(heard)), heard] = 0.0
        return frame_losses(sure.log_softmax(dim=-1), torch.tensor([len(heard), 12]), batch).tolist()

    same, slower, shifted = (
        loss([0, 0, 1, 1, 2, 2]),
        loss([0] * 4 + [1] * 4 + [2] * 4),
        loss([0] * 6 + [1] * 4 + [2] * 2),
    )
    assert same[1] == slower[1] == 0  # not aligned
    assert slower[0] == pytest.approx(2 * same[0])
    assert shifted[0] > 1.5 * slower[0]


def test_frames_have_their_share_where_they_are_known() -> None:
    generator = torch.Generator().manual_seed(0)
    letters, states = (torch.randn(2, *size, generator=generator).log_softmax(dim=-1) for size in ((6, 4), (12, 3)))
    sounds = np.zeros(9, np.float32)
    aligned = Item(0, sounds, [1], [], [1], np.array([0, 0, 1, 1, 2, 2], np.int32))
    batch, frames, heard = (
        collate([aligned, Item(1, sounds, [2], [], [1])]),
        torch.tensor([6, 6]),
        torch.tensor([12, 12]),
    )
    plain = training_losses(Heads(letters[None]), frames, batch)
    found = training_losses(Heads(letters[None], None, states), frames, batch, LossWeights(frames=0.25), heard_b=heard)
    # Two feature frames an output frame.
    expected = 0.75 * plain[0] + 0.25 * frame_losses(states, heard, batch)[0] / 2
    torch.testing.assert_close(found, torch.stack([expected, plain[1]]))


def test_the_share_falls() -> None:
    frames = FrameConfig(weight=0.6, last_weight=0.2, until=0.5)
    assert [round(frames.share(epoch, 8), 2) for epoch in (0, 2, 4, 7)] == [0.6, 0.4, 0.2, 0.2]
    assert FrameConfig(until=0).share(0, 8) == FrameConfig().last_weight


@pytest.fixture(scope="module")
def run(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tiny.Recorder]:
    """The run folder of a model that was trained on frames too, and what was said. Not to be changed."""
    pytest.importorskip("espeakng_loader")
    from steno.training.run import train

    folder, recorder = tmp_path_factory.mktemp("frames"), tiny.Recorder()
    changes: dict[str, Any] = {"training": {"epochs": 20, "intermediate_weight": 0.2}, "optimizer": {"lr": 0.01}}
    phonemes = {"block": 1, "weight": 0.3, "frames": {}}
    path = tiny.write_recipe(
        folder / "r.yaml", tones, model=CONFORMER | {"intermediate": [1]}, phonemes=phonemes, **changes
    )
    train(load_recipe(path), folder / "run", display=recorder, tracked=False)
    return folder / "run", recorder


def test_a_model_learns_by_frames_and_keeps_no_trace_of_them(run: tuple[Path, tiny.Recorder]) -> None:
    from steno.runtime.folder import read_config

    folder, recorder = run
    assert recorder.said("aligning 24 utterances")
    config = read_config(folder / "model")
    assert config.provenance["measured"]["dev"]["wer"] < 0.5
    assert config.phonemes is not None
    assert config.phonemes.frames is None
    assert not [name for name in load_file(folder / "model" / "model.safetensors") if "states" in name]
    assert Alignment.load(folder / "alignment.npz").aligned == 24


def test_a_resumed_run_does_not_align_again(train_tiny: Any, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    changes: dict[str, Any] = {"model": CONFORMER, "phonemes": {"block": 1, "frames": {}}, "data": {"limit": 6}}
    train_tiny("whole", training={"epochs": 2}, **changes)
    _, first = train_tiny("parts", training={"epochs": 1}, **changes)
    _, second = train_tiny("parts", training={"epochs": 2}, resume=True, change=True, **changes)
    assert first.said("aligning")
    assert not second.said("aligning")
    aligned = [Alignment.load(tmp_path / name / "alignment.npz").states(2) for name in ("whole", "parts")]
    assert aligned[0].tolist() == aligned[1].tolist()


def test_frames_may_be_added_to_a_model_that_has_none(run: tuple[Path, tiny.Recorder], train_tiny: Any) -> None:
    start = {"epochs": 1, "start_from": str(run[0] / "model")}
    changes: dict[str, Any] = {"model": CONFORMER, "phonemes": {"block": 1, "frames": {}}, "data": {"limit": 4}}
    _, recorder = train_tiny("on", training=start, **changes)
    (fresh,) = (line for line in recorder.messages if "fresh are" in line)
    assert fresh.endswith("fresh are encoder.phonemes.states.weight, encoder.phonemes.states.bias")


def test_a_share_is_one_of_the_loss(tones: Path, tmp_path: Path) -> None:
    path = tiny.write_recipe(
        tmp_path / "r.yaml", tones, model=CONFORMER, phonemes={"block": 1, "frames": {"weight": 2}}
    )
    with pytest.raises(RecipeError, match=r"phonemes\.frames\.weight"):
        load_recipe(path)
