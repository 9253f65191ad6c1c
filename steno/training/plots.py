"""Curves of a run as a figure."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

Rows = list[dict[str, float]]


def curves(history: Rows) -> Figure:
    """Losses, and error rates in per cent, by epoch."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot(left, history, {"train_loss": "train", "dev_loss": "dev"}, 1.0)
    left.set(title="CTC loss a label", xlabel="epoch", ylim=(0, None))
    _plot(right, history, {"dev_wer": "WER", "dev_cer": "CER"}, 100.0)
    right.set(title="dev error rate, greedy (%)", xlabel="epoch", ylim=(0, None))
    return figure


def _plot(axes: Axes, history: Rows, keys: dict[str, str], factor: float) -> None:
    for key, label in keys.items():
        axes.plot([row["epoch"] for row in history], [factor * row[key] for row in history], marker=".", label=label)
    axes.grid(alpha=0.3)
    axes.legend()
