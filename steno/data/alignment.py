"""Which state of which phoneme each feature frame of a corpus was heard in."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from steno.errors import ModelError

States = npt.NDArray[np.int32]


class Alignment:
    """The states of a manifest's utterances, one a feature frame.

    Args:
        states_n: of all utterances, one after the other.
        ends_u: where each utterance of the manifest ends in them; one that was not aligned has none.
    """

    def __init__(self, states_n: States, ends_u: npt.NDArray[np.int64]) -> None:
        self._states_n, self._ends_u = states_n, ends_u

    @classmethod
    def of(cls, utterances: Sequence[States | None]) -> "Alignment":
        """Of the states of each utterance, or None."""
        parts = [np.zeros(0, np.int32) if states is None else states for states in utterances]
        return cls(np.concatenate(parts).astype(np.int32), np.cumsum([len(part) for part in parts], dtype=np.int64))

    def __len__(self) -> int:
        return len(self._ends_u)

    def states(self, index: int) -> States:
        """Of the utterance at an index of the manifest, (T,); T is 0 where it was not aligned."""
        start = int(self._ends_u[index - 1]) if index else 0
        return self._states_n[start : int(self._ends_u[index])]

    @property
    def aligned(self) -> int:
        """Utterances that were aligned."""
        return int(np.count_nonzero(np.diff(self._ends_u, prepend=0)))

    def save(self, path: Path) -> None:
        """Write it as an ``.npz``."""
        np.savez_compressed(path, states=self._states_n, ends=self._ends_u)

    @classmethod
    def load(cls, path: Path) -> "Alignment":
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: it is not there, or is not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as found:
                return cls(found["states"], found["ends"])
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path}: cannot be read ({error})", "Start the run anew with --overwrite.") from None
