"""The loss with its companions: intermediate layers, and two views that are drawn to each other."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from steno.data.loading import Batch, Item, collate
from steno.errors import RecipeError
from steno.models.registry import Heads
from steno.training.loss import LossWeights, ctc_losses, divergences, training_losses
from steno.training.recipe import load_recipe

MASK = {"frequency_masks": 1, "time_masks": 1, "time_width": 0.2}
CONFORMER = {
    "architecture": "conformer",
    "size": 16,
    "layers": 3,
    "heads": 2,
    "kernel": 3,
    "stem_channels": 4,
    "intermediate": [1, 2],
    "layer_drop": 0.2,
}


def labelled(*labels: list[int]) -> Batch:
    return collate([Item(n, np.zeros(10, np.float32), row, []) for n, row in enumerate(labels)])


def emissions(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).log_softmax(dim=-1)


BATCH, FRAMES = labelled([1, 2], [3]), torch.tensor([9, 6])


def test_alone_it_is_ctc() -> None:
    final = emissions(2, 9, 4)
    assert torch.equal(training_losses(Heads(final[None]), FRAMES, BATCH), ctc_losses(final, FRAMES, BATCH))


def test_intermediate_layers_share_their_weight() -> None:
    layers = emissions(3, 2, 9, 4)
    first, second, final = (ctc_losses(layer, FRAMES, BATCH) for layer in layers)
    found = training_losses(Heads(layers), FRAMES, BATCH, LossWeights(intermediate=0.3))
    torch.testing.assert_close(found, 0.7 * final + 0.3 * (first + second) / 2)


def test_two_views_are_both_spelt() -> None:
    views = emissions(1, 4, 9, 4)
    one, other = (ctc_losses(part, FRAMES, BATCH) for part in views[0].chunk(2))
    torch.testing.assert_close(training_losses(Heads(views), FRAMES, BATCH, views=2), (one + other) / 2)
    drawn = training_losses(Heads(views), FRAMES, BATCH, LossWeights(consistency=0.2), views=2)
    apart = divergences(*views[0].chunk(2), FRAMES)
    torch.testing.assert_close(drawn, (one + other) / 2 + 0.2 * apart)


def test_equal_views_do_not_diverge_and_others_do() -> None:
    view, other = emissions(2, 9, 4), emissions(2, 9, 4, seed=1)
    torch.testing.assert_close(divergences(view, view.clone(), FRAMES), torch.zeros(2))
    assert (divergences(view, other, FRAMES) > 0).all()
    torch.testing.assert_close(divergences(view, other, FRAMES), divergences(other, view, FRAMES))


def test_the_divergence_is_the_one_of_the_paper_and_padding_has_none() -> None:
    view, other = emissions(1, 5, 4), emissions(1, 5, 4, seed=1)
    p, q = view[0, :3].exp(), other[0, :3].exp()
    expected = 0.5 * ((p * (p / q).log()).sum() + (q * (q / p).log()).sum())
    torch.testing.assert_close(divergences(view, other, torch.tensor([3]))[0], expected)


def test_the_divergence_draws_each_view_to_the_other() -> None:
    scores = [torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(n), requires_grad=True) for n in (0, 1)]
    first, second = (score.log_softmax(dim=-1) for score in scores)
    before = divergences(first, second, torch.tensor([4])).sum()
    before.backward()
    for score in scores:
        assert score.grad is not None
        assert score.grad[0, :4].abs().sum() > 0
        assert not score.grad[0, 4:].any()
    nearer = [(score - 0.1 * score.grad).log_softmax(dim=-1) for score in scores]  # type: ignore[operator]
    assert divergences(nearer[0], nearer[1], torch.tensor([4])).sum() < before


# ---- in a recipe -----------------------------------------------------------------------------------------------


def test_a_conformer_trains_with_all_of_it(train_tiny: Any) -> None:
    changes = {"data": {"batch_size": 8}, "augment": {"mask": MASK}, "optimizer": {"lr": 0.003}}
    training = {"epochs": 6, "consistency": {"weight": 0.2, "from_epoch": 2}, "intermediate_weight": 0.3}
    result, recorder = train_tiny(model=CONFORMER, training=training, **changes)
    assert np.isfinite(recorder.losses).all()
    assert recorder.losses[-1] < recorder.losses[0]
    assert result.scores["dev"].utterances


def test_consistency_before_its_epoch_changes_nothing(train_tiny: Any) -> None:
    """But for the random numbers of the second view's masks, which come after those of the first."""
    plain, later = (
        train_tiny(name, augment={"mask": MASK}, training={"epochs": 1, "consistency": consistency})[1]
        for name, consistency in (("plain", None), ("later", {"weight": 1.0, "from_epoch": 1}))
    )
    assert plain.losses == later.losses


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training": {"consistency": {"weight": 0.2}}}, "augment.mask is absent"),
        ({"training": {"consistency": {"weight": 0}}, "augment": {"mask": MASK}}, "consistency.weight"),
        ({"training": {"intermediate_weight": 1.5}}, "intermediate_weight"),
        ({"model": {"architecture": "conformer", "sise": 3}}, "did you mean"),
        ({"model": {"architecture": "perceptron"}}, "perceptron"),
        ({"model": {"architecture": "conformer", "left_chunks": 3}}, "chunk_frames is absent"),
    ],
)
def test_recipes_that_cannot_be(changes: dict[str, Any], said: str, tones: Any, tmp_path: Any) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe(tiny.write_recipe(tmp_path / "r.yaml", tones, **changes))
