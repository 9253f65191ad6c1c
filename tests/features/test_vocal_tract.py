"""Other vocal tracts: where a peak of the spectrum goes, and what stays."""

import pytest
import torch

from steno.features.config import FeatureConfig
from steno.features.frontend import FrontEnd
from steno.features.vocal_tract import stretched

CONFIG = FeatureConfig(n_mels=80, f_min=40, normalize="none")


def tone(hz: float) -> torch.Tensor:
    """Log-mel features (1, T, F) of a tone."""
    samples = 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(16_000) / 16_000)
    return FrontEnd(CONFIG)(samples[None], torch.tensor([16_000]))[0]


@pytest.mark.parametrize("uniform", [0.0, 1.0])
@pytest.mark.parametrize("hz", [500.0, 1000.0, 3000.0])
def test_a_tone_comes_from_where_the_factor_says(uniform: float, hz: float) -> None:
    factor = 1 + 0.12 * (2 * uniform - 1)
    found = stretched(tone(hz), torch.tensor([uniform]), 0.12, CONFIG)
    expected = tone(hz / factor)
    assert abs(int(found[0, 50].argmax()) - int(expected[0, 50].argmax())) <= 1
    assert found.shape == expected.shape


def test_the_middle_of_the_range_changes_nothing() -> None:
    features = torch.randn(3, 7, 80, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(stretched(features, torch.full((3,), 0.5), 0.12, CONFIG), features, atol=1e-3, rtol=0)


def test_each_utterance_has_its_own_factor() -> None:
    features = torch.randn(1, 7, 80, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1)
    first, second = stretched(features, torch.tensor([0.1, 0.9]), 0.12, CONFIG)
    assert not torch.allclose(first, second)
    alone = stretched(features[:1], torch.tensor([0.1]), 0.12, CONFIG)
    torch.testing.assert_close(first[None], alone)


def test_the_highest_frequency_stays_the_highest() -> None:
    features = torch.arange(80.0).repeat(1, 2, 1)
    for uniform in (0.0, 1.0):
        found = stretched(features, torch.tensor([uniform]), 0.2, CONFIG)[0, 0]
        assert (found.diff() >= 0).all()
        assert float(found[-1]) == pytest.approx(79, abs=1.0)
