"""Augmentation does what its numbers say, and the same for the same seed."""

import numpy as np
import pytest
from pydantic import ValidationError

from steno.data.augment import (
    add_noise,
    augmented,
    change_gain,
    change_speed,
    through_mp3,
    without_speech,
)
from steno.data.config import AugmentConfig, CodecConfig, EchoConfig, NoiseConfig, SilenceConfig, mp3_bit_rates
from steno.data.tempo import change_tempo

RATE = 16_000


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


def test_an_mp3_of_few_bits_has_no_high_frequencies_and_is_not_late() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)

    def power(samples: np.ndarray) -> np.ndarray:  # in ten bands of 800 Hz
        return np.add.reduceat(np.abs(np.fft.rfft(samples)) ** 2, np.arange(0, 16_000, 1600))

    few, many = (through_mp3(noise, kbit, 16_000) for kbit in (24, 128))
    assert few.dtype == np.float32
    assert len(few) == len(many) == len(noise)
    assert power(few)[9] < 1e-3 * power(noise)[9]
    assert power(many)[8] > 0.5 * power(noise)[8]
    assert power(few)[2] > 0.5 * power(noise)[2]
    assert np.corrcoef(many, noise)[0, 1] > 0.95  # which no delay of one sample leaves


@pytest.mark.parametrize(("rate", "kbit"), [(8_000, 500), (16_000, 1), (44_100, 8)])
def test_mp3s_have_the_bit_rates_that_there_are(rate: int, kbit: int) -> None:
    sound = np.zeros(rate, np.float32)
    assert len(through_mp3(sound, kbit, rate)) == rate
    with pytest.raises(ValueError, match="7000 Hz"):
        mp3_bit_rates(7_000)


def test_a_share_of_the_utterances_is_coded() -> None:
    settings = AugmentConfig(codec=CodecConfig(probability=0.5, kbit=(16, 24)))
    changed = [augmented(tone(0.2), settings, np.random.default_rng(seed), 16_000) for seed in range(12)]
    assert 2 < sum(np.array_equal(one, tone(0.2)) for one in changed) < 10


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 30.0])
@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_has_the_ratio_that_was_asked(snr_db: float, slope: float) -> None:
    noisy = add_noise(tone(), snr_db, slope, np.random.default_rng(0), RATE)
    noise = noisy.astype(np.float64) - tone()
    ratio = 10 * np.log10(np.mean(np.square(tone(), dtype=np.float64)) / np.mean(noise**2))
    assert noisy.dtype == np.float32
    assert ratio == pytest.approx(snr_db, abs=0.05)


def test_silence_and_single_samples_stay() -> None:
    generator = np.random.default_rng(0)
    np.testing.assert_array_equal(add_noise(np.zeros(50, np.float32), 0, 1, generator, RATE), np.zeros(50))
    np.testing.assert_array_equal(add_noise(np.ones(1, np.float32), 0, 1, generator, RATE), np.ones(1))
    assert np.isfinite(add_noise(np.ones(2, np.float32), 0, 2, generator, RATE)).all()


def test_the_generator_decides() -> None:
    first, same, other = (add_noise(tone(), 10, 1, np.random.default_rng(seed), RATE) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


# ---- tempo -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 1.5, 2.0])
def test_tempo_changes_duration_and_keeps_the_pitch(factor: float) -> None:
    changed = change_tempo(tone(), factor)
    assert changed.dtype == np.float32
    assert len(changed) == round(16_000 / factor)
    assert loudest_hertz(changed) == pytest.approx(500, abs=3)
    middle = changed[1000:-1000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_tempo_keeps_the_order_of_what_is_said() -> None:
    """Three tones after each other keep their shares of the time."""
    spoken = np.concatenate([tone(0.4, hertz) for hertz in (300, 600, 1200)])
    changed = change_tempo(spoken, 0.8)
    third = len(changed) // 3
    found = [loudest_hertz(changed[n * third + 800 : (n + 1) * third - 800]) for n in range(3)]
    assert found == pytest.approx([300, 600, 1200], abs=5)


def test_tempo_of_one_and_of_what_is_too_short_is_the_same() -> None:
    np.testing.assert_array_equal(change_tempo(tone(), 1.0), tone())
    np.testing.assert_array_equal(change_tempo(tone(0.05), 1.3), tone(0.05))
    assert np.isfinite(change_tempo(np.zeros(16_000, np.float32), 0.9)).all()


def test_tempo_knows_the_sample_rate() -> None:
    at_8000 = (0.3 * np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)).astype(np.float32)
    changed = change_tempo(at_8000, 0.8, 8000)
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
    assert float(np.fft.rfftfreq(len(changed), 1 / 8000)[spectrum.argmax()]) == pytest.approx(500, abs=3)


# ---- all of it -------------------------------------------------------------------------------------------------


def test_an_echo_follows_the_sound() -> None:
    click = np.zeros(16_000, np.float32)
    click[1000] = 1.0
    settings = AugmentConfig(echo=EchoConfig(probability=1.0, rt60=(0.3, 0.3), direct_db=(6.0, 6.0)))
    heard = augmented(click, settings, np.random.default_rng(0), 16_000)
    assert heard.dtype == np.float32
    assert len(heard) == len(click)
    assert np.abs(heard[:1000]).max() < 1e-6
    assert heard[1000] == pytest.approx(1.0, abs=1e-4)
    assert 10 * np.log10(1 / np.sum(heard[1001:] ** 2)) == pytest.approx(6.0, abs=0.2)
    assert np.sum(heard[1001:3400] ** 2) > 20 * np.sum(heard[3400:5800] ** 2)


def test_each_is_off_by_default_and_the_same_for_the_same_seed() -> None:
    spoken = tone(0.5)
    np.testing.assert_array_equal(augmented(spoken, AugmentConfig(), np.random.default_rng(1), 16_000), spoken)
    settings = AugmentConfig(
        speed=(0.9, 1.1),
        tempo=(0.9, 1.1),
        echo=EchoConfig(probability=0.5),
        noise=NoiseConfig(probability=0.5),
        gain_db=(-6, 6),
    )
    results = [augmented(spoken, settings, np.random.default_rng(seed), 16_000) for seed in (1, 1, 2, 3)]
    np.testing.assert_array_equal(results[0], results[1])
    assert len({result.tobytes() for result in results}) == 3
    assert all(result.dtype == np.float32 and np.isfinite(result).all() for result in results)


def test_recordings_without_speech_have_their_levels_and_lengths() -> None:
    settings = SilenceConfig(seconds=(0.5, 2.0), level_db=(-60, -30))
    found = [without_speech(settings, 1.5, np.random.default_rng(seed), 16_000) for seed in range(60)]
    assert all(8_000 <= len(samples) <= 24_000 and samples.dtype == np.float32 for samples in found)
    silent = [samples for samples in found if not samples.any()]
    assert 1 <= len(silent) < 20
    levels = [20 * np.log10(np.sqrt(np.mean(np.square(samples)))) for samples in found if samples.any()]
    assert -60.1 < min(levels) < -55
    assert -35 < max(levels) < -29.9


def test_what_was_added_later_moves_no_number_of_what_was_there() -> None:
    """A run of an older recipe goes on with the numbers that it began with."""
    generator = np.random.default_rng(5)
    augmented(tone(0.2), AugmentConfig(speed=(0.9, 1.0, 1.1)), generator, 16_000)
    other = np.random.default_rng(5)
    other.integers(3)
    assert generator.random() == other.random()


@pytest.mark.parametrize(
    "given",
    [
        {"tempo": [3.0]},
        {"echo": {"rt60": [0.0, 1.0]}},
        {"echo": {"probability": 2}},
        {"codec": {"kbit": [48, 16]}},
        {"noise": {"snr_db": [30, 10]}},
        {"gain_db": [3, -3]},
    ],
)
def test_changes_that_cannot_be(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AugmentConfig.model_validate(given)
