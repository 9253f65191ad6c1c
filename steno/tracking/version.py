"""One version of a registered model, as Steno shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version in the registry; ``metrics`` are rates as fractions (WER 0.05 is 5 %)."""

    name: str
    version: int
    created: datetime
    run_id: str | None = None
    aliases: tuple[str, ...] = ()
    stage: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The name by which every command takes it."""
        return f"models:/{self.name}/{self.version}"

    @property
    def wer(self) -> float | None:
        """The version's WER: of the metrics that end so, the shortest, one of a test set first; else None."""
        keys = [key for key in self.metrics if key.lower().endswith("wer")]
        best = min(keys, key=lambda key: (key != "wer", "test" not in key, len(key), key), default=None)
        return None if best is None else self.metrics[best]


METRIC_TAG = "metric."
"""Prefix of the version tags that hold what was measured when the version was made."""


def read_version(entity: "MlflowVersion") -> ModelVersion:
    """MLflow's own object as ours."""
    tags = dict(entity.tags)
    metrics = {}
    for key, text in tags.items():
        if key.startswith(METRIC_TAG):
            try:
                metrics[key.removeprefix(METRIC_TAG)] = float(text)
            except ValueError:
                continue  # a tag that somebody wrote by hand
    return ModelVersion(
        name=entity.name,
        version=int(entity.version),
        created=datetime.fromtimestamp(entity.creation_timestamp / 1000, tz=UTC),
        run_id=entity.run_id or None,
        aliases=tuple(sorted(entity.aliases)),
        stage=None if entity.current_stage in (None, "None") else entity.current_stage,
        metrics=metrics,
        tags=tags,
    )
