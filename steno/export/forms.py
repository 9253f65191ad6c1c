"""The forms that a model runs in, each behind the same call: samples in, log-probabilities out, or text alone."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from steno.audio import Samples
from steno.decoding.greedy import greedy_labels
from steno.decoding.path import Emission
from steno.runtime.folder import ONNX, STREAM, WEIGHTS, read_config, verified

Form = Literal["torch", "onnx", "streaming", "pyfunc"]


@dataclass(frozen=True)
class Heard:
    """Text of a recording by greedy decoding, and its log-probabilities (T, V) where the form gives any."""

    text: str
    emission_tv: Emission | None


Hear = Callable[[Samples], Heard]


def file_of(form: Form) -> str:
    """The file of a model folder that a form computes with."""
    return {"torch": WEIGHTS, "onnx": ONNX, "streaming": STREAM, "pyfunc": ONNX}[form]


def load(form: Form, folder: Path, threads: int) -> Hear:
    """A form of a model folder, ready to hear; it computes with so many threads, but for the pyfunc.

    Raises:
        ModelError: the folder does not have this form.
    """
    if form == "pyfunc":
        return _pyfunc(folder)
    config = read_config(folder)
    tokenizer = config.tokenizer.build()
    compute = {"torch": _torch, "onnx": _onnx, "streaming": _streaming}[form](folder, threads)

    def hear(samples_n: Samples) -> Heard:
        emission_tv = compute(samples_n)
        return Heard(tokenizer.decode(greedy_labels(emission_tv[:, : len(tokenizer)])), emission_tv)

    return hear


def _torch(folder: Path, threads: int) -> Callable[[Samples], Emission]:
    import torch

    from steno.export.torch_model import load_model

    torch.set_num_threads(threads)
    model = load_model(folder, read_config(folder))

    def compute(samples_n: Samples) -> Emission:
        with torch.inference_mode():
            log_probs_btv, _ = model(torch.from_numpy(samples_n)[None], torch.tensor([len(samples_n)]))
        found: Emission = log_probs_btv[0].numpy()
        return found

    return compute


def _onnx(folder: Path, threads: int) -> Callable[[Samples], Emission]:
    from steno.runtime import Recognizer

    recognizer = Recognizer(folder, threads)
    return lambda samples_n: recognizer.emissions([samples_n])[0]


def _streaming(folder: Path, threads: int) -> Callable[[Samples], Emission]:
    from steno.runtime.graph import Graph
    from steno.runtime.streaming.steps import StepEncoder

    config = read_config(folder)
    encoder = StepEncoder(config, Graph(verified(folder, config, STREAM), threads))

    def compute(samples_n: Samples) -> Emission:
        stream, parts = encoder.start(), []
        place, size = 0, encoder.first_tick
        while place < len(samples_n):
            stream.accept(samples_n[place : place + size])
            place, size = place + size, encoder.tick
            while stream.due:
                parts += encoder.run([stream])
        stream.end()
        while not stream.done:
            parts += encoder.run([stream])
        return np.concatenate(parts)

    return compute


def _pyfunc(folder: Path) -> Hear:
    from steno.tracking.logged_model import loaded

    predict = loaded(folder)
    return lambda samples_n: Heard(predict(samples_n), None)
