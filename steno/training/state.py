"""Where a run stands: everything but the tensors, as plain values that a checkpoint keeps."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass
class EpochSums:
    """Sums over an epoch so far, over all processes."""

    loss: float = 0.0
    labels: int = 0
    utterances: int = 0
    bad: int = 0
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass
class Best:
    """A kept checkpoint of weights and its dev error rates."""

    file: str
    epoch: int
    wer: float
    cer: float

    @property
    def rank(self) -> tuple[float, float]:
        """The less, the better: WER, then CER.

        All WERs of 100 % and more rank alike, or a model that says nothing would rank before one that begins to
        speak.
        """
        return min(self.wer, 1.0), self.cer


@dataclass
class RunState:
    """The next batch to train on is number ``batch`` of epoch ``epoch``, both from 0."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    epochs_without_gain: int = 0
    sums: EpochSums = field(default_factory=EpochSums)
    best: list[Best] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    ema_steps: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        best = [Best(**entry) for entry in data["best"]]
        return cls(**{**data, "sums": EpochSums(**data["sums"]), "best": best})
