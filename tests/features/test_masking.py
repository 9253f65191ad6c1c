"""SpecAugment's stripes: where they lie, how wide they are, and whom they touch."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steno.features.config import MaskConfig
from steno.features.masking import apply_masks


def masked(config: MaskConfig, frames: list[int], size: int, seed: int = 0) -> torch.Tensor:
    features = torch.ones(len(frames), max(frames), size)
    uniform = torch.rand(len(frames), config.draws, generator=torch.Generator().manual_seed(seed))
    return apply_masks(features, torch.tensor(frames), uniform, config)


def longest_run(zero: torch.Tensor) -> int:
    best = run = 0
    for value in zero.tolist():
        run = run + 1 if value else 0
        best = max(best, run)
    return best


@settings(max_examples=100, deadline=None)
@given(
    size=st.integers(1, 90),
    frames=st.integers(1, 300),
    width=st.floats(0, 1),
    limit=st.integers(0, 60),
    seed=st.integers(0, 10_000),
)
def test_one_stripe_is_no_wider_than_asked(size: int, frames: int, width: float, limit: int, seed: int) -> None:
    high = masked(MaskConfig(frequency_masks=1, frequency_width=width, time_masks=0), [frames], size, seed)
    zero = high[0, 0] == 0
    assert zero.sum() <= width * size
    assert longest_run(zero) == zero.sum()
    assert (high == high[:, :1]).all()
    config = MaskConfig(frequency_masks=0, time_masks=1, time_width=width, time_frames=limit)
    long = masked(config, [frames], size, seed)
    zero = long[0, :, 0] == 0
    assert zero.sum() <= min(width * frames, limit)
    assert longest_run(zero) == zero.sum()


def test_widest_stripes_and_both_edges_occur() -> None:
    config = MaskConfig(frequency_masks=1, frequency_width=0.25, time_masks=0)
    found = [masked(config, [1], 8, seed)[0, 0] == 0 for seed in range(200)]
    assert {int(zero.sum()) for zero in found} == {0, 1, 2}
    assert any(zero[0] for zero in found)
    assert any(zero[-1] for zero in found)


def test_the_numbers_alone_decide() -> None:
    config = MaskConfig()
    assert torch.equal(masked(config, [50, 90], 40, seed=1), masked(config, [50, 90], 40, seed=1))
    assert not torch.equal(masked(config, [50, 90], 40, seed=1), masked(config, [50, 90], 40, seed=2))


def test_an_utterance_is_masked_alike_alone_and_in_any_batch() -> None:
    config = MaskConfig(time_width=0.3)
    uniform = torch.rand(3, config.draws, generator=torch.Generator().manual_seed(4))
    frames = torch.tensor([30, 120, 77])
    together = apply_masks(torch.ones(3, 120, 20), frames, uniform, config)
    for row, count in enumerate(frames.tolist()):
        alone = apply_masks(torch.ones(1, count, 20), frames[row : row + 1], uniform[row : row + 1], config)
        assert torch.equal(together[row, :count], alone[0])


def test_no_masks_change_nothing() -> None:
    assert masked(MaskConfig(frequency_masks=0, time_masks=0), [20, 30], 8).all()
    assert masked(MaskConfig(frequency_width=0, time_width=0), [20, 30], 8).all()
