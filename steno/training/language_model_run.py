"""A neural language model from text to its file, as a run that MLflow keeps."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from steno.errors import LanguageModelError
from steno.export.language_model import write_language_model
from steno.lm.corpus import Progress
from steno.runtime.folder import digest
from steno.storage import absolute, shown
from steno.tracking.spool import delivered
from steno.tracking.tracker import NullTracker, RunLog, Tracker
from steno.training.interrupt import Interrupt
from steno.training.language_model import LanguageModelPlan, LanguageModelTraining, Report, Trained

EXPERIMENT = "language-models"
_CHECKPOINT = "last.safetensors"


@dataclass(frozen=True)
class LanguageModelResult:
    """What came of it.

    Args:
        trained: the model, its pieces, and what it was made of.
        parameters: of the model.
        difference: how much ln of a piece's chance changed with 8 bits.
        run_id: the run in MLflow; empty without one.
    """

    trained: Trained
    parameters: int
    difference: float
    run_id: str


def folder_of(output: Path) -> Path:
    """Where the state of a training lies, and what its tracking store has not taken yet."""
    return output.with_name(f"{output.name}.training")


def run_language_model(
    texts: Sequence[Path],
    output: Path,
    alphabet: str,
    plan: LanguageModelPlan,
    *,
    dev: Path | None = None,
    resume: bool = False,
    tracked: bool = True,
    tracking_uri: str | None = None,
    progress: Progress = lambda what, part: None,
    watch: Callable[[Report], None] = lambda report: None,
) -> LanguageModelResult:
    """Train a neural language model and write its file; MLflow gets settings, texts, perplexities and the file.

    The run starts once the texts are read. Its folder, :func:`folder_of`, is there until all is done and sent.

    Args:
        texts, alphabet, plan, dev, progress: see :class:`~steno.training.language_model.LanguageModelTraining`.
        output: the file, ``.onnx``.
        resume: go on with the training that was stopped.
        tracked: whether MLflow hears of it.
        tracking_uri: MLflow's store; None takes the environment's, else the embedded one.
        watch: is told how training stands, twenty times.

    Raises:
        Interrupted: a signal came; the state is kept.
        LanguageModelError: see there; or there is nothing to resume.
        ModelError: what is resumed is no checkpoint, or the model does not keep what it says in 8 bits.
        TrackingError: MLflow's store does not answer when the run starts.
    """
    folder = folder_of(output)
    kept = folder / _CHECKPOINT
    if resume and not kept.exists():
        raise LanguageModelError(f"{kept}: there is nothing to go on from", "Start without --resume.")
    training = LanguageModelTraining(texts, alphabet, plan, dev=dev, kept=kept, resume=resume, progress=progress)
    folder.mkdir(exist_ok=True)
    if not resume:
        # What an earlier run could not send stays.
        for name in (_CHECKPOINT, "tracking.json"):
            (folder / name).unlink(missing_ok=True)
    try:
        tracker: RunLog = NullTracker()
        if tracked:
            tags = {"steno.kind": "language-model"}
            tracker = Tracker.start(folder, experiment=EXPERIMENT, run_name=output.stem, uri=tracking_uri, tags=tags)
        with tracker:
            _log_start(tracker, training, texts, dev)

            def report(standing: Report) -> None:
                _log_standing(tracker, standing)
                watch(standing)

            with Interrupt() as interrupt:
                trained = training.fit(report, lambda: interrupt.requested)
            difference = write_language_model(trained.model, trained.tokenizer, output, trained.about)
            tracker.log_metrics({"difference_in_8_bits": difference}, training.done)
            tracker.log_file(output)
        kept.unlink(missing_ok=True)
    finally:
        if not kept.exists() and delivered(folder):
            shutil.rmtree(folder)
    return LanguageModelResult(trained, training.parameters, difference, tracker.run_id)


def _log_start(tracker: RunLog, training: LanguageModelTraining, texts: Sequence[Path], dev: Path | None) -> None:
    tracker.log_params({**training.about, "parameters": training.parameters})
    of_what = [(text, "training") for text in texts] + ([(dev, "validation")] if dev is not None else [])
    for path, context in of_what:
        if path.is_file():  # and not standard input
            profile = {"bytes": path.stat().st_size}
            tracker.log_dataset(path.name, digest(path), shown(absolute(path)), context, profile)


def _log_standing(tracker: RunLog, standing: Report) -> None:
    found = {"perplexity_of_a_piece": standing.perplexity, "words_per_second": standing.words_per_second}
    if standing.dev_perplexity is not None:
        found["dev_perplexity"] = standing.dev_perplexity
    tracker.log_metrics(found, standing.step)
