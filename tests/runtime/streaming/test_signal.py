"""Windows of a signal are those of the reflected whole, with no more in memory than they need."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from steno.runtime.streaming.signal import SampleQueue, Signal


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(0, 30), st.integers(1, 25), st.integers(1, 50))
def test_windows_are_those_of_the_reflected_whole(length: int, pad: int, hop: int, span: int) -> None:
    recording = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    whole = np.pad(recording, pad, mode="reflect") if length > 1 else np.full(1 + 2 * pad, recording[0])
    signal = Signal(pad)
    starts = range(-pad, length + pad - span, hop)
    given_so_far = 0
    for start in starts:
        wanted = min(length, max(start + span, pad + 1))
        if wanted > given_so_far:
            signal.append(recording[given_so_far:wanted])
            given_so_far = wanted
        signal.ended = given_so_far == length
        if start + span <= given_so_far or signal.ended:
            np.testing.assert_array_equal(signal.window(start, start + span), whole[start + pad : start + pad + span])
        signal.forget(start + hop - 2 * pad - span)


def test_what_lies_beyond_is_zero() -> None:
    signal = Signal(2)
    signal.append(np.arange(1, 6, dtype=np.float32))
    signal.ended = True
    assert signal.window(3, 10).tolist() == [4, 5, 4, 3, 0, 0, 0]


def test_forgotten_samples_are_gone() -> None:
    signal = Signal(2)
    for _ in range(100):
        signal.append(np.ones(50, np.float32))
        signal.forget(signal.length - 20)
    assert signal.length == 5000
    assert len(signal._kept_n) == 20
    assert signal.window(4990, 5000).tolist() == [1.0] * 10


@settings(deadline=None)
@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 12)))
def test_a_queue_gives_what_it_was_given_in_its_order(pushed: list[int], popped: list[int]) -> None:
    queue, given_samples = SampleQueue(), np.arange(sum(pushed), dtype=np.float32)
    for piece in np.split(given_samples, np.cumsum(pushed)[:-1]) if pushed else []:
        queue.push(piece)
    taken = [queue.pop(most) for most in popped]
    assert all(len(piece) <= most for piece, most in zip(taken, popped, strict=True))
    assert len(queue) == len(given_samples) - sum(map(len, taken))
    if taken:
        queue.push_front(taken[-1])
    rest = queue.pop(10**6)
    np.testing.assert_array_equal(np.concatenate([*taken[:-1], rest]) if taken else rest, given_samples)
