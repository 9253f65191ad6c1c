"""The model card: what the model is, what it was trained on, how well it does, and its limits."""

from typing import Any

from steno.evaluation.score import Scores
from steno.runtime.folder import FolderConfig


def measured(scores: Scores, manifest: str, digest: str, hours: float) -> dict[str, Any]:
    """Plain values of a measurement, for the provenance of a model folder."""
    wer, cer = scores.wer_interval(), scores.cer_interval()
    return {
        "manifest": manifest,
        "digest": digest,
        "hours": round(hours, 3),
        "utterances": len(scores.utterances),
        "wer": round(scores.wer, 5),
        "wer_interval_95": [round(wer.low, 5), round(wer.high, 5)],
        "cer": round(scores.cer, 5),
        "cer_interval_95": [round(cer.low, 5), round(cer.high, 5)],
        "substitutions": scores.words.substitutions,
        "deletions": scores.words.deletions,
        "insertions": scores.words.insertions,
    }


def model_card(config: FolderConfig, parameters: int) -> str:
    """The card of a model folder, in Markdown."""
    made = config.provenance
    trained = made["train"]
    rows = "\n".join(
        f"| {part} | {m['utterances']} | {m['hours']:.2f} | {_rate(m, 'wer')} | {_rate(m, 'cer')} |"
        for part, m in made["measured"].items()
    )
    return f"""# {config.name}

A speech recogniser made with Steno {made["steno"]}. It takes {config.features.sample_rate} Hz mono audio and
writes text in the characters `{config.tokenizer.alphabet}`.

- Architecture: `{config.model.architecture}`, {parameters:,} parameters, a frame each
  {config.seconds_per_frame * 1000:.0f} ms.
- Front-end: {config.features.kind}, {config.features.size} features, inside the ONNX graph.{_phonemes(config)}
- Trained on: `{trained["manifest"]}` (digest {trained["digest"]}), {trained["utterances"]} utterances,
  {trained["hours"]:.2f} h; {made["epochs"]} epochs, seed {made["seed"]}, recipe `{made["recipe"]}`{_changes(made)}.
- Final weights: {made["weights"]}{_origin(made)}.

## How well it does

Measured on this very folder (`model.onnx`), greedy decoding, texts as in the manifests; intervals are 95 %
bootstrap over utterances.

| part | utterances | hours | WER | CER |
|---|---|---|---|---|
{rows}

## Limits

Its figures hold for speech like that of the parts above. Other voices, microphones, rooms, accents and words
will do worse: measure them with `steno evaluate` before you rely on it. It writes something for any sound,
also for noise and for languages that it was not trained on.
"""


def _phonemes(config: FolderConfig) -> str:
    if config.phonemes is None:
        return ""
    count, voice = len(config.phonemes.symbols), config.phonemes.voice
    return f"\n- Phonemes, after block {config.phonemes.block}: {count}, as espeak-ng's voice `{voice}` says words."


def _origin(made: dict[str, Any]) -> str:
    return f"; training started from `{made['started_from']}`" if "started_from" in made else ""


def _changes(made: dict[str, Any]) -> str:
    return f", changed in mid-run ({'; '.join(made['changed'])})" if "changed" in made else ""


def _rate(measurement: dict[str, Any], name: str) -> str:
    low, high = measurement[f"{name}_interval_95"]
    return f"{measurement[name]:.1%} ({low:.1%} to {high:.1%})"
