"""Mel banks and the DCT by what defines them."""

import numpy as np
import pytest

from steno.features.mel import dct, dft_kernels, hann, mel_bank


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_triangles_overlap_to_one_between_the_outer_centres(scale: str) -> None:
    bank = mel_bank(1024, 16_000, 20, 0.0, 8000.0, scale, slaney_norm=False)  # type: ignore[arg-type]
    assert bank.shape == (513, 20)
    assert bank.min() >= 0
    assert bank.max() <= 1
    first, last = bank[:, 0].argmax() + 1, bank[:, -1].argmax() - 1
    np.testing.assert_allclose(bank[first:last].sum(axis=1), 1.0, atol=1e-9)
    assert (np.diff(bank.argmax(axis=0)) > 0).all()


def test_htk_centres_are_evenly_spaced_in_mel() -> None:
    bank = mel_bank(16_384, 16_000, 10, 100.0, 7000.0, "htk", slaney_norm=False)
    centres = np.linspace(0, 8000, 8193)[bank.argmax(axis=0)]
    mels = 2595 * np.log10(1 + np.array([100.0, *centres, 7000.0]) / 700)
    np.testing.assert_allclose(np.diff(mels), np.diff(mels).mean(), rtol=0.01)


def test_slaney_centres_are_linear_below_1000_hz_and_logarithmic_above() -> None:
    bank = mel_bank(32_768, 16_000, 40, 0.0, 8000.0, "slaney", slaney_norm=False)
    centres = np.linspace(0, 8000, 16_385)[bank.argmax(axis=0)]
    low, high = centres[centres < 900], centres[centres > 1100]
    np.testing.assert_allclose(np.diff(low), np.diff(low).mean(), rtol=0.01)
    np.testing.assert_allclose(high[1:] / high[:-1], (high[1:] / high[:-1]).mean(), rtol=0.01)


def test_slaney_norm_gives_each_triangle_unit_area() -> None:
    bank = mel_bank(32_768, 16_000, 20, 0.0, 8000.0, "slaney", slaney_norm=True)
    np.testing.assert_allclose(bank.sum(axis=0) * 8000 / 16_384, 1.0, rtol=1e-3)


@pytest.mark.parametrize("size", [1, 2, 40, 128])
def test_the_dct_is_orthonormal(size: int) -> None:
    np.testing.assert_allclose(dct(size, size).T @ dct(size, size), np.eye(size), atol=1e-12)


def test_a_short_dct_is_the_start_of_a_long_one() -> None:
    np.testing.assert_array_equal(dct(13, 40), dct(40, 40)[:, :13])


def test_the_window_is_periodic_and_centred() -> None:
    window = hann(400, 512)
    assert window[:56].max() == 0
    assert window[256] == pytest.approx(1.0)
    np.testing.assert_allclose(hann(8, 8)[1:], hann(8, 8)[1:][::-1])


def test_kernels_are_the_windowed_dft() -> None:
    samples = np.random.default_rng(0).standard_normal(64)
    real, imaginary = np.split(dft_kernels(64, 48) @ samples, 2)
    np.testing.assert_allclose(real + 1j * imaginary, np.fft.rfft(samples * hann(48, 64)), atol=1e-12)
