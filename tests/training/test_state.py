"""Which of two checkpoints is the better one."""

from steno.training.state import Best


def best(wer: float, cer: float) -> Best:
    return Best("file", 1, wer, cer)


def test_the_lower_wer_is_better_and_cer_decides_a_tie() -> None:
    assert best(0.2, 0.1).rank < best(0.3, 0.05).rank
    assert best(0.2, 0.05).rank < best(0.2, 0.1).rank


def test_a_model_that_begins_to_speak_is_better_than_a_silent_one() -> None:
    assert best(1.04, 0.67).rank < best(1.0, 0.98).rank
