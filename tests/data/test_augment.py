"""Augmentation does what its numbers say, and the same for the same seed."""

import numpy as np
import pytest

from steno.data.augment import add_noise, change_gain, change_speed, coloured_noise


def tone(seconds: float = 1.0, hertz: float = 500.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


def loudest_hertz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / 16_000)[spectrum.argmax()])


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_speed_changes_duration_and_pitch(factor: float) -> None:
    changed = change_speed(tone(), factor)
    assert changed.dtype == np.float32
    assert len(changed) == pytest.approx(16_000 / factor, abs=2)
    assert loudest_hertz(changed) == pytest.approx(500 * factor, abs=2)


def test_gain_is_in_decibels() -> None:
    changed = change_gain(tone(), -20.0)
    assert changed.dtype == np.float32
    np.testing.assert_allclose(changed, tone() / 10, rtol=1e-5)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 30.0])
@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_has_the_ratio_that_was_asked(snr_db: float, slope: float) -> None:
    noisy = add_noise(tone(), snr_db, slope, np.random.default_rng(0))
    noise = noisy.astype(np.float64) - tone()
    ratio = 10 * np.log10(np.mean(np.square(tone(), dtype=np.float64)) / np.mean(noise**2))
    assert noisy.dtype == np.float32
    assert ratio == pytest.approx(snr_db, abs=0.05)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_the_spectrum_of_noise_falls_as_its_slope_says(slope: float) -> None:
    generator = np.random.default_rng(0)
    power = np.mean([np.abs(np.fft.rfft(coloured_noise(4096, slope, generator))) ** 2 for _ in range(200)], axis=0)
    octaves = np.log2(np.arange(20, 1500))
    fitted = np.polyfit(octaves, np.log2(power[20:1500]), 1)[0]
    assert fitted == pytest.approx(-slope, abs=0.05)


def test_silence_and_single_samples_stay() -> None:
    generator = np.random.default_rng(0)
    np.testing.assert_array_equal(add_noise(np.zeros(50, np.float32), 0, 1, generator), np.zeros(50))
    np.testing.assert_array_equal(add_noise(np.ones(1, np.float32), 0, 1, generator), np.ones(1))
    assert np.isfinite(add_noise(np.ones(2, np.float32), 0, 2, generator)).all()


def test_the_generator_decides() -> None:
    first, same, other = (add_noise(tone(), 10, 1, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
