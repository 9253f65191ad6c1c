"""The parts of training by themselves: schedule, optimiser, averages, checkpoints, losses, statistics, recipe."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import save_file
from torch import nn

from steno.data.loading import BatchLoader, Item, UtteranceDataset, collate
from steno.data.manifest import Manifest
from steno.errors import ModelError, RecipeError
from steno.features.config import FeatureConfig
from steno.features.frontend import FrontEnd
from steno.text import CharTokenizer
from steno.training import checkpoint
from steno.training.averaging import ExponentialAverage, mean, swapped
from steno.training.loss import ctc_losses, find_bad
from steno.training.optim import build_optimizer, one_cycle, set_learning_rate
from steno.training.recipe import (
    OptimizerConfig,
    ScheduleConfig,
    dump_recipe,
    flat_params,
    load_recipe,
)
from steno.training.state import Best, RunState
from steno.training.statistics import corpus_statistics, sample_indices

# ---- schedule and optimiser ----------------------------------------------------------------------------


def test_one_cycle_rises_to_the_peak_and_falls() -> None:
    config = ScheduleConfig(warmup=0.2, start=25, end=1000)
    points = [one_cycle(step / 1000, config) for step in range(1001)]
    assert points[0] == pytest.approx(1 / 25)
    assert points[200] == pytest.approx(1)
    assert points[1000] == pytest.approx(1 / 1000)
    assert all(a < b for a, b in pairwise(points[:201]))
    assert all(a > b for a, b in pairwise(points[200:]))
    assert points[100] == pytest.approx((1 + 1 / 25) / 2)  # the middle of a cosine
    assert max(abs(b - a) for a, b in pairwise(points)) < 0.01


@pytest.mark.parametrize(("warmup", "first", "last"), [(0.0, 1.0, 0.01), (1.0, 0.1, 1.0)])
def test_one_cycle_without_one_of_its_sides(warmup: float, first: float, last: float) -> None:
    config = ScheduleConfig(warmup=warmup, start=10, end=100)
    assert one_cycle(0, config) == pytest.approx(first)
    assert one_cycle(1, config) == pytest.approx(last)


def test_only_matrices_decay_and_every_parameter_is_trained() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    optimizer = build_optimizer(model, OptimizerConfig(lr=0.1, weight_decay=0.5))
    decayed, plain = optimizer.param_groups
    assert [p.ndim for p in decayed["params"]] == [2]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.5, 0.0)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))
    set_learning_rate(optimizer, 0.03)
    assert [group["lr"] for group in optimizer.param_groups] == [0.03, 0.03]


class Classified(nn.Module):
    """A hidden layer and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(3, 3)
        self.classifier = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.classifier(self.hidden(x))
        return out


def test_muon_makes_the_steps_of_hidden_matrices_orthogonal_and_leaves_the_rest_to_adamw() -> None:
    def stepped(config: OptimizerConfig) -> tuple[Classified, dict[str, torch.Tensor]]:
        torch.manual_seed(0)
        model = Classified()
        optimizer = build_optimizer(model, config)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        torch.manual_seed(1)
        model(torch.randn(5, 3)).square().sum().backward()
        set_learning_rate(optimizer, 0.01)
        optimizer.step()
        return model, {name: p.detach() - before[name] for name, p in model.named_parameters()}

    _, adamw = stepped(OptimizerConfig(weight_decay=0))
    _, muon = stepped(OptimizerConfig(kind="muon", weight_decay=0))
    for name in ("hidden.bias", "classifier.weight", "classifier.bias"):
        assert torch.equal(adamw[name], muon[name])
    # Newton and Schulz's iteration brings every singular value near 1, times lr × 0.2 × √size.
    singular = torch.linalg.svdvals(muon["hidden.weight"]) / (0.01 * 0.2 * 3**0.5)
    assert singular.min() > 0.3
    assert singular.max() < 1.5


class Convolved(nn.Module):
    """A dense and a depthwise convolution, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Conv1d(3, 4, 2)
        self.depthwise = nn.Conv1d(4, 4, 2, groups=4)
        self.classifier = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.classifier(self.depthwise(self.dense(x[..., None].expand(-1, -1, 6))).mean(dim=-1))
        return out


def test_muon_takes_dense_kernels_as_matrices_and_leaves_depthwise_ones_to_adamw() -> None:
    def stepped(kind: Literal["adamw", "muon"]) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = Convolved()
        optimizer = build_optimizer(model, OptimizerConfig(kind=kind, weight_decay=0))
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        for seed in (1, 2):
            torch.manual_seed(seed)
            model(torch.randn(5, 3)).square().sum().backward()
            if seed == 2:
                set_learning_rate(optimizer, 0.01)
                optimizer.step()
            optimizer.zero_grad()
            assert all(p.grad is None for p in model.parameters())
        return {name: p.detach() - before[name] for name, p in model.named_parameters()}

    adamw, muon = stepped("adamw"), stepped("muon")
    for name in ("depthwise.weight", "dense.bias", "classifier.weight"):
        assert torch.equal(adamw[name], muon[name])
    singular = torch.linalg.svdvals(muon["dense.weight"].flatten(1)) / (0.01 * 0.2 * 6**0.5)
    assert singular[1] > 0.3, "two outputs: the gradient has rank 2"
    assert singular.max() < 1.5


class Shapes(nn.Module):
    """Matrices of three shapes, two of each, a kernel of a convolution, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(6, 4), (4, 6), (5, 5)] * 2
        self.matrices = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)
        self.kernel = nn.Conv2d(2, 6, (1, 2), bias=False)
        self.classifier = nn.Linear(3, 2)

    def hidden(self) -> list[nn.Parameter]:
        """What Muon takes."""
        return [*self.matrices, self.kernel.weight]


def test_muon_makes_the_steps_of_torchs() -> None:
    torch.manual_seed(0)
    ours = Shapes()
    theirs = [nn.Parameter(parameter.detach().clone().flatten(1)) for parameter in ours.hidden()]
    optimizer = build_optimizer(ours, OptimizerConfig(kind="muon", lr=0.02, weight_decay=0.1))
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    before = [parameter.detach().clone() for parameter in theirs]
    for _ in range(4):
        for mine, matrix in zip(ours.hidden(), theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            matrix.grad = mine.grad.flatten(1)
        optimizer.step()
        reference.step()
    for mine, matrix, start in zip(ours.hidden(), theirs, before, strict=True):
        # A product of many matrices at once may round bfloat16 differently.
        assert (mine.flatten(1) - matrix).norm() < 0.02 * (matrix - start).norm()


def test_muon_without_a_hidden_matrix_is_refused() -> None:
    with pytest.raises(RecipeError, match="no hidden matrices"):
        build_optimizer(nn.ModuleDict({"classifier": nn.Linear(3, 2)}), OptimizerConfig(kind="muon"))


# ---- averages -------------------------------------------------------------------------------------------


def test_the_moving_average_is_the_recursion_it_says() -> None:
    model = nn.Linear(2, 1)
    average = ExponentialAverage(model, decay=0.8)
    expected = model.weight.detach().clone()
    for step in range(1, 60):
        with torch.no_grad():
            model.weight += 0.1 * step
        average.update(model)
        decay = min(0.8, step / (step + 9))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.weights["weight"], expected)


def test_swapped_gives_the_weights_back_also_after_an_error() -> None:
    model = nn.Linear(2, 1)
    own = model.weight.detach().clone()
    other = {name: torch.ones_like(p) for name, p in model.named_parameters()}

    def fail() -> None:
        with swapped(model, other):
            assert torch.equal(model.weight, torch.ones(1, 2))
            raise RuntimeError("within")

    with pytest.raises(RuntimeError, match="within"):
        fail()
    assert torch.equal(model.weight, own)
    with swapped(model, None):
        assert torch.equal(model.weight, own)


def test_the_mean_of_sets_of_weights() -> None:
    sets = [{"a": torch.tensor([float(n), 1.0])} for n in (1, 2, 6)]
    torch.testing.assert_close(mean(sets)["a"], torch.tensor([3.0, 1.0]))


# ---- checkpoints ----------------------------------------------------------------------------------------


def test_a_checkpoint_holds_tensors_and_state(tmp_path: Path) -> None:
    state = RunState(epoch=2, batch=3, step=40, best=[Best("x", 1, 0.5, float("inf"))], bad={"id": "why"}, ema_steps=4)
    state.sums.loss = 0.1 + 0.2
    tensors = {"a": torch.randn(3, 4).t(), "b": torch.tensor(7)}
    checkpoint.save(tmp_path / "deep" / "c.safetensors", tensors, state.to_dict())
    found, plain = checkpoint.load(tmp_path / "deep" / "c.safetensors")
    assert RunState.from_dict(plain) == state
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["c.safetensors"]


def test_a_write_that_fails_leaves_the_former_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, {"a": torch.zeros(1)}, {"n": 1})

    def full(tensors: object, target: Path, metadata: object) -> None:
        target.write_bytes(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, {"a": torch.ones(1)}, {"n": 2})
    assert checkpoint.load(path)[1] == {"n": 1}


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    with pytest.raises(ModelError, match="not a checkpoint"):
        checkpoint.load(path)
    for content in (b"", b"nonsense" * 100, torch.zeros(9).numpy().tobytes()):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="not a checkpoint"):
            checkpoint.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="not a checkpoint"):
        checkpoint.load(path)
    torch.save({"a": torch.zeros(1)}, path)  # a pickle is never loaded
    with pytest.raises(ModelError, match="not a checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("shape", [Classified, Convolved])
def test_the_optimiser_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, kind: Literal["adamw", "muon"], shape: type[Classified] | type[Convolved]
) -> None:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        torch.manual_seed(seed)
        model(torch.randn(5, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.manual_seed(0)
    model = shape()
    optimizer = build_optimizer(model, OptimizerConfig(kind=kind))
    step(model, optimizer, 1)
    tensors = checkpoint.prefixed("model", checkpoint.model_tensors(model))
    tensors |= checkpoint.prefixed("optimizer", checkpoint.optimizer_tensors(optimizer))
    checkpoint.save(tmp_path / "c.safetensors", tensors, {})
    step(model, optimizer, 2)
    loaded, _ = checkpoint.load(tmp_path / "c.safetensors")
    fresh = shape()
    fresh.load_state_dict(checkpoint.unprefixed("model", loaded))
    resumed = build_optimizer(fresh, OptimizerConfig(kind=kind))
    checkpoint.load_optimizer(resumed, checkpoint.unprefixed("optimizer", loaded))
    step(fresh, resumed, 2)
    for own, other in zip(fresh.parameters(), model.parameters(), strict=True):
        assert torch.equal(own, other)


# ---- losses ---------------------------------------------------------------------------------------------


def item(index: int, labels: list[int]) -> Item:
    return Item(index, np.zeros(10, np.float32), labels, [])


def all_paths_loss(probabilities: np.ndarray, labels: list[int]) -> float:
    """CTC by summing over every path, for few frames."""
    from itertools import product

    from steno.decoding.greedy import collapse

    total = 0.0
    for path in product(range(probabilities.shape[1]), repeat=len(probabilities)):
        if collapse(np.array(path)) == labels:
            total += float(np.prod([probabilities[t, label] for t, label in enumerate(path)]))
    return -float(np.log(total)) if total else float("inf")


def test_the_loss_is_the_sum_over_all_paths_and_the_bad_ones_are_explained() -> None:
    labels = [[1], [1, 2], [2, 2], [1, 1], [1, 2, 1, 2, 1]]
    frames = torch.tensor([4, 4, 3, 2, 4])
    batch = collate([item(10 + n, row) for n, row in enumerate(labels)])
    torch.manual_seed(0)
    log_probs = torch.randn(5, 4, 3).log_softmax(dim=-1)
    losses = ctc_losses(log_probs, frames, batch)
    for row, (spelled, count) in enumerate(zip(labels, frames.tolist(), strict=True)):
        expected = all_paths_loss(log_probs[row, :count].exp().numpy(), spelled)
        assert float(losses[row]) == pytest.approx(expected, rel=1e-5)
    bad = find_bad(losses, frames, batch)
    assert [(b.index, b.reason) for b in bad] == [
        (13, "its transcript needs 3 frames, the recording has 2"),
        (14, "its transcript needs 5 frames, the recording has 4"),
    ]
    (broken,) = find_bad(torch.tensor([float("nan")]), torch.tensor([9]), collate([item(3, [1])]))
    assert (broken.index, broken.reason) == (3, "its loss is nan; where many are, optimizer.lr is too high")


# ---- statistics -----------------------------------------------------------------------------------------


def test_statistics_are_those_of_all_frames(tones: Path) -> None:
    manifest = Manifest(tones / "train.jsonl")
    frontend = FrontEnd(FeatureConfig(n_mels=12))
    loader = BatchLoader(UtteranceDataset(manifest, CharTokenizer(tiny.ALPHABET)), 0)
    batches = list(loader.load([np.arange(5), np.arange(5, 24)]))
    found_mean, found_std = corpus_statistics(frontend, batches)
    frames = []
    for batch in batches:
        for row, length in enumerate(batch.lengths_b.tolist()):
            frames.append(frontend(batch.samples_bn[row : row + 1, :length], torch.tensor([length]))[0][0])
    joined = torch.cat(frames).double()
    torch.testing.assert_close(found_mean.double(), joined.mean(dim=0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found_std.double(), joined.std(dim=0, correction=0), rtol=1e-4, atol=1e-4)


def test_statistics_of_a_large_corpus_take_a_random_half_hour() -> None:
    durations = np.full(10_000, 9.0, dtype=np.float32)
    chosen = sample_indices(durations, np.arange(5000, 10_000), seed=1)
    assert 0.45 < durations[chosen].sum() / 3600 <= 0.5
    assert chosen.min() >= 5000
    assert len(set(chosen.tolist())) == len(chosen)
    assert np.array_equal(chosen, sample_indices(durations, np.arange(5000, 10_000), seed=1))
    assert not np.array_equal(chosen, sample_indices(durations, np.arange(5000, 10_000), seed=2))
    assert len(sample_indices(np.array([9000.0]), np.array([0]), seed=1)) == 1


# ---- recipes --------------------------------------------------------------------------------------------


def test_overrides_are_yaml_and_reach_any_depth(tones: Path, tmp_path: Path) -> None:
    path = tiny.write_recipe(tmp_path / "r.yaml", tones)
    recipe = load_recipe(
        path,
        [
            "training.epochs=7",
            "optimizer.lr=1e-4",
            "augment.speed=[0.9, 1.1]",
            "augment.mask.time_masks=5",
            "training.patience=null",
            "training.precision=32",
            "description=a = b",
        ],
    )
    assert (recipe.training.epochs, recipe.optimizer.lr, recipe.augment.speed) == (7, 1e-4, (0.9, 1.1))
    assert recipe.augment.mask is not None
    assert recipe.augment.mask.time_masks == 5
    assert recipe.training.precision == "32"
    assert recipe.description == "a = b"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.epoch=3", "unknown key `training.epoch`, did you mean `training.epochs`?"),
        ("epochs=3", "unknown key `epochs`, did you mean `training.epochs`?"),
        ("model.rnn_sise=3", "did you mean `model.rnn_size`?"),
        ("agument.speed=[1.0]", "unknown key `agument`, did you mean `augment`?"),
        ("augment.mask.time_mask=1", "did you mean `augment.mask.time_masks`?"),
        ("training.epochs=0", "`training.epochs`"),
        ("training.epochs=three", "`training.epochs`"),
        ("training.precision=16", "`training.precision`"),
        ("augment.speed=[3.0]", "`augment.speed.0`"),
        ("model.dropout=1", "`model.dropout`"),
        ("features.n_fft=100", "`features`"),
        ("tokenizer.alphabet=aa", "repeats"),
        ("training.epochs", "not of the form key=value"),
        ("=3", "not of the form key=value"),
        ("training.epochs=[", "not a YAML value"),
        ("name=a b", "`name`"),
    ],
)
def test_overrides_that_cannot_be(override: str, said: str, tones: Path, tmp_path: Path) -> None:
    path = tiny.write_recipe(tmp_path / "r.yaml", tones, features={"win_length": 400})
    with pytest.raises(RecipeError) as raised:
        load_recipe(path, [override])
    assert said in raised.value.message


def test_a_recipe_survives_its_own_yaml(tones: Path, tmp_path: Path) -> None:
    augment = {"speed": [0.9, 1.1], "mask": {"time_masks": 3}, "noise": {"probability": 0.5}, "gain_db": [-3, 3]}
    recipe = load_recipe(tiny.write_recipe(tmp_path / "r.yaml", tones, augment=augment))
    (tmp_path / "dumped.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "dumped.yaml") == recipe
    flat = flat_params(recipe)
    assert flat["augment.mask.time_masks"] == 3
    assert flat["training.epochs"] == 3
    json.dumps(flat)


def test_the_recipes_of_the_project_are_valid() -> None:
    folder = Path(__file__).parents[2] / "recipes"
    recipes = sorted(folder.glob("*.yaml"))
    assert recipes
    for path in recipes:
        assert load_recipe(path).name == path.stem
