"""The forms that sherpa-onnx loads: its runtimes for phones, browsers and C++.

Offline: its omnilingual CTC entry, which takes a waveform. It scales a recording to zero mean and unit variance
before the model sees it; since it adds 1e-5 to the variance first, what is left of the variance tells the level
that the recording had, and the graph restores it. Its other CTC entries compute features of their own, which a
model of ours was not trained on.

Streaming: its T-one CTC entry, the one that takes samples, 2400 at a time, and keeps one row of state in half
precision; :mod:`steno.export.sherpa_stream`.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

from steno.errors import ModelError
from steno.export.folder import TOKENS, copy_runnable, new_folder
from steno.runtime.folder import CARD, ONNX, STREAM, FolderConfig, read_config

ADDED_TO_VARIANCE = 1e-5
"""What sherpa-onnx adds to the variance of a recording before it divides by its root."""
_LEAST_REST = 1e-7
STREAM_RATE = 8000
"""The rate, in Hz, that its streaming entry brings all audio to."""


def export_sherpa(folder: Path, target: Path) -> FolderConfig:
    """``model.onnx`` and ``tokens.txt`` for ``OfflineRecognizer``; of a streaming model ``stream.onnx``, too.

    Raises:
        ModelError: the folder is not whole, or the model takes no 16 kHz audio.
        StenoError: the target is not empty.
    """
    config = read_config(folder)
    if config.features.sample_rate != 16_000:
        raise ModelError(
            f"{folder}: takes {config.features.sample_rate} Hz audio, and sherpa-onnx's entry for waveforms 16000 Hz",
            "Train a model with features.sample_rate 16000.",
        )
    with new_folder(target) as (scratch, keep):
        copy_runnable(folder, config, scratch)
        (scratch / CARD).unlink(missing_ok=True)
        onnx.save(offline(onnx.load(scratch / ONNX)), scratch / ONNX)
        streams = (scratch / STREAM).is_file()
        if streams:
            from steno.export.sherpa_stream import export_stream
            from steno.export.torch_model import load_model

            export_stream(load_model(folder, config), scratch / STREAM)
        (scratch / CARD).write_text(_card(config, streams), encoding="utf-8")
        keep()
    return config


def offline(model: ModelProto) -> ModelProto:
    """A graph of ours for sherpa-onnx: samples (1, N), of unit variance, in; log-probabilities (1, T, V) out."""
    found = ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    kept = [one for one in graph.input if one.name != "lengths"]
    given = kept[0].name
    kept[0].name = "x"
    del graph.input[:]
    graph.input.extend(kept)
    outputs = [one for one in graph.output if one.name == "log_probs"]
    del graph.output[:]
    graph.output.extend(outputs)
    values = {
        "sherpa.first": np.array(0, np.int64),
        "sherpa.second": np.array(1, np.int64),
        "sherpa.one": np.array(1.0, np.float64),
        "sherpa.least": np.array(_LEAST_REST, np.float64),
        "sherpa.added": np.array(ADDED_TO_VARIANCE, np.float64),
        "sherpa.axis": np.array([0], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    make = helper.make_node
    # The variance that is left is v / (v + added), so that added / (1 - left) is v + added.
    nodes = [
        make("Shape", ["x"], ["sherpa.shape"]),
        make("Gather", ["sherpa.shape", "sherpa.second"], ["sherpa.samples"]),
        make("Gather", ["sherpa.shape", "sherpa.first"], ["sherpa.batch"]),
        make("Unsqueeze", ["sherpa.batch", "sherpa.axis"], ["sherpa.rows"]),
        make("Expand", ["sherpa.samples", "sherpa.rows"], ["lengths"]),
        make("Cast", ["x"], ["sherpa.double"], to=onnx.TensorProto.DOUBLE),
        # What the mean was off, in float.
        make("ReduceMean", ["sherpa.double"], ["sherpa.mean"], axes=[1], keepdims=1),
        make("Sub", ["sherpa.double", "sherpa.mean"], ["sherpa.centred"]),
        make("Mul", ["sherpa.centred", "sherpa.centred"], ["sherpa.squares"]),
        make("ReduceMean", ["sherpa.squares"], ["sherpa.left"], axes=[1], keepdims=1),
        make("Sub", ["sherpa.one", "sherpa.left"], ["sherpa.lost"]),
        make("Max", ["sherpa.lost", "sherpa.least"], ["sherpa.rest"]),
        make("Div", ["sherpa.added", "sherpa.rest"], ["sherpa.variance"]),
        make("Sqrt", ["sherpa.variance"], ["sherpa.level"]),
        make("Mul", ["sherpa.centred", "sherpa.level"], ["sherpa.restored"]),
        make("Cast", ["sherpa.restored"], [given], to=onnx.TensorProto.FLOAT),
    ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    onnx.checker.check_model(found)
    return found


def _card(config: FolderConfig, streams: bool) -> str:
    online = f"""
## Streaming

```python
recognizer = sherpa_onnx.OnlineRecognizer.from_t_one_ctc(model="{STREAM}", tokens="{TOKENS}")
stream = recognizer.create_stream()
stream.accept_waveform({STREAM_RATE}, samples)  # samples at 16 kHz: see below
```

sherpa-onnx resamples what this entry hears to {STREAM_RATE} Hz. The model takes 16 kHz: give it samples at 16 kHz
and say that they are at {STREAM_RATE} Hz, so that nothing is resampled. Times and endpoint rules then count double,
those of a conformer of chunks not evenly. Add a second of silence at the end, or as much as a chunk if that is more,
or the last words stay in the look-ahead.
"""
    return f"""# {config.name} for sherpa-onnx

```python
recognizer = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(model="{ONNX}", tokens="{TOKENS}")
stream = recognizer.create_stream()
stream.accept_waveform(16000, samples)
recognizer.decode_stream(stream)
print(stream.result.text)
```
{online if streams else ""}"""
