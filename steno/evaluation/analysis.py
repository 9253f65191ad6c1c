"""Everything that is told of an evaluation: rates, intervals, tables, confusions, calibration."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steno.evaluation.bootstrap import Interval, SpeakerInterval, speaker_interval
from steno.evaluation.calibration import Calibration, calibration
from steno.evaluation.confusions import Confusions, confusions
from steno.evaluation.measure import Evaluation, Measured
from steno.evaluation.tables import Table, breakdowns, signal_to_noise_ratios


@dataclass(frozen=True)
class Analysis:
    """An evaluation with all that was found in it; ``ratios`` are signal-to-noise ratios in dB."""

    evaluation: Evaluation
    wer_interval: Interval
    cer_interval: Interval
    wer_by_speaker: SpeakerInterval
    cer_by_speaker: SpeakerInterval
    tables: tuple[Table, ...]
    confusions: Confusions
    calibration: Calibration | None
    ratios: Mapping[str, float | None]

    @property
    def worst(self) -> list[Measured]:
        """Utterances with errors, worst first: by WER, then by the number of errors."""
        wrong = [one for one in self.evaluation.measured if one.scored.words.errors]
        return sorted(wrong, key=lambda one: (-one.scored.words.rate, -one.scored.words.errors, one.scored.id))

    def metrics(self) -> dict[str, float]:
        """The figures of the whole, as fractions."""
        scores = self.evaluation.scores
        found = {
            "wer": scores.wer,
            "wer_low": self.wer_interval.low,
            "wer_high": self.wer_interval.high,
            "cer": scores.cer,
            "cer_low": self.cer_interval.low,
            "cer_high": self.cer_interval.high,
            "real_time_factor": self.evaluation.real_time_factor,
        }
        if self.wer_by_speaker.interval:
            found["wer_speaker_low"] = self.wer_by_speaker.interval.low
            found["wer_speaker_high"] = self.wer_by_speaker.interval.high
        if self.calibration:
            found["expected_calibration_error"] = self.calibration.error
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        evaluation = self.evaluation
        scores = evaluation.scores
        return {
            "model": evaluation.model,
            "decoding": evaluation.decoding,
            "data": str(evaluation.data),
            "digest": evaluation.digest,
            "normalization": {
                "name": evaluation.normalization.name,
                "alphabet": evaluation.normalization.alphabet,
                "description": evaluation.normalization.description,
            },
            "utterances": len(evaluation.measured),
            "audio_seconds": evaluation.audio_seconds,
            "seconds": evaluation.seconds,
            "real_time_factor": evaluation.real_time_factor,
            "wer": scores.wer,
            "wer_interval_95": asdict(self.wer_interval),
            "wer_interval_95_by_speaker": asdict(self.wer_by_speaker),
            "cer": scores.cer,
            "cer_interval_95": asdict(self.cer_interval),
            "cer_interval_95_by_speaker": asdict(self.cer_by_speaker),
            "words": asdict(scores.words),
            "characters": asdict(scores.chars),
            "tables": {table.name: [_row(row) for row in asdict(table)["rows"]] for table in self.tables},
            "confusions": asdict(self.confusions),
            "calibration": asdict(self.calibration) if self.calibration else None,
            "results": [_result(one, self.ratios.get(one.scored.id)) for one in evaluation.measured],
            "failed": [asdict(entry) for entry in evaluation.left_out],
        }


def analyse(evaluation: Evaluation) -> Analysis:
    """Look closer at an evaluation; reads its recordings once more, for their levels.

    Raises:
        ManifestError: nothing was scored.
    """
    scores, speakers = evaluation.checked().scores, evaluation.speakers
    ratios = signal_to_noise_ratios(evaluation.measured)
    return Analysis(
        evaluation=evaluation,
        wer_interval=scores.wer_interval(),
        cer_interval=scores.cer_interval(),
        wer_by_speaker=speaker_interval([u.words for u in scores.utterances], speakers),
        cer_by_speaker=speaker_interval([u.chars for u in scores.utterances], speakers),
        tables=tuple(breakdowns(evaluation.measured, ratios)),
        confusions=confusions(scores.utterances),
        calibration=calibration(evaluation),
        ratios=dict(zip((one.scored.id for one in evaluation.measured), ratios, strict=True)),
    )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    counts = row.pop("words")
    errors = counts["substitutions"] + counts["deletions"] + counts["insertions"]
    return {**row, "wer": errors / counts["reference"], "words": counts}


def _result(one: Measured, ratio: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": one.scored.id,
        "reference": one.scored.reference,
        "hypothesis": one.scored.hypothesis,
        "wer": one.scored.words.rate,
        "speaker": one.utterance.speaker,
        "duration": one.utterance.duration,
        "signal_to_noise": ratio,
    }
    if one.words:
        found["words"] = [
            {"text": word.text, "start": word.start, "end": word.end, "confidence": word.confidence}
            for word in one.words
        ]
    return found
