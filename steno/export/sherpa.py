"""The forms that sherpa-onnx loads: its runtimes for phones, browsers and C++.

Offline: its omnilingual CTC entry, which takes a waveform. It scales a recording to zero mean and unit variance
before the model sees it. Since it adds 1e-5 to the variance first, what is left of the variance tells about the level
that the recording had; the steps of its 16 bits then tell it exactly, and the graph restores it. Its other CTC entries
compute features of their own, which a model of ours was not trained on.

Streaming: its T-one CTC entry, the one that takes samples, 2400 at a time, and keeps one row of state in half
precision; :mod:`steno.export.sherpa_stream`.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

from steno.errors import ModelError
from steno.export.folder import TOKENS, copy_runnable, new_folder
from steno.runtime.folder import CARD, ONNX, STREAM, FolderConfig, read_config

ADDED_TO_VARIANCE = 1e-5
"""What sherpa-onnx adds to the variance of a recording before it divides by its root."""
_LEAST_REST = 1e-7
_STEPS = 32768.0
"""In which 16 bits divide full scale."""
_FEW_STEPS = 16.0
"""Between two samples, whose number a level that is off by less than 3 % tells exactly."""
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
        labels = len(config.tokenizer.build()) if config.phonemes else None
        onnx.save(offline(onnx.load(scratch / ONNX), labels), scratch / ONNX)
        streams = (scratch / STREAM).is_file()
        if streams:
            from steno.export.sherpa_stream import export_stream
            from steno.export.torch_model import load_model

            export_stream(load_model(folder, config), scratch / STREAM)
        (scratch / CARD).write_text(_card(config, streams), encoding="utf-8")
        keep()
    return config


def offline(model: ModelProto, labels: int | None = None) -> ModelProto:
    """A graph of ours for sherpa-onnx: samples (1, N), of unit variance, in; log-probabilities (1, T, V) out.

    Of a model that writes phonemes too only the first ``labels``, those of its text, are given.
    """
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
        "sherpa.time": np.array([1], np.int64),
        "sherpa.start": np.array([1], np.int64),
        "sherpa.end": np.array([np.iinfo(np.int64).max], np.int64),
        "sherpa.but_last": np.array([-1], np.int64),
        "sherpa.steps": np.array(_STEPS, np.float64),
        "sherpa.few": np.array(_FEW_STEPS, np.float64),
        "sherpa.none": np.array(0.0, np.float64),
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
        make("Sqrt", ["sherpa.variance"], ["sherpa.rough"]),
        *_refined(),
        make("Mul", ["sherpa.centred", "sherpa.level"], ["sherpa.restored"]),
        make("Cast", ["sherpa.restored"], [given], to=onnx.TensorProto.FLOAT),
    ]
    rest = [*graph.node, *(_of_text(outputs[0], labels, graph) if labels is not None else ())]
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    onnx.checker.check_model(found)
    return found


def _of_text(output: ValueInfoProto, labels: int, graph: GraphProto) -> list[NodeProto]:
    """Cuts the output to its first labels; what made it gives all of them under another name."""
    whole = f"{output.name}.whole"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [whole if name == output.name else name for name in names]
    for name, value in (("sherpa.labels", labels), ("sherpa.last", 2)):
        graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), name))
    output.type.tensor_type.shape.dim[-1].Clear()
    return [helper.make_node("Slice", [whole, "sherpa.axis", "sherpa.labels", "sherpa.last"], [output.name])]


def _refined() -> list[NodeProto]:
    """From ``sherpa.rough``, which is off by half a percent or so, to ``sherpa.level``.

    Neighbouring samples of 16 bits differ by whole steps. The level says how many they are, exactly where they are few;
    then these say the level. Where samples are not of 16 bits, they are rounded up as often as down, and it stays.
    """
    make = helper.make_node
    return [
        make("Slice", ["sherpa.centred", "sherpa.start", "sherpa.end", "sherpa.time"], ["sherpa.later"]),
        make("Slice", ["sherpa.centred", "sherpa.axis", "sherpa.but_last", "sherpa.time"], ["sherpa.earlier"]),
        make("Sub", ["sherpa.later", "sherpa.earlier"], ["sherpa.apart"]),
        make("Mul", ["sherpa.rough", "sherpa.steps"], ["sherpa.rough_steps"]),
        make("Mul", ["sherpa.apart", "sherpa.rough_steps"], ["sherpa.about"]),
        make("Round", ["sherpa.about"], ["sherpa.whole"]),
        make("Abs", ["sherpa.whole"], ["sherpa.size"]),
        make("LessOrEqual", ["sherpa.size", "sherpa.few"], ["sherpa.sure"]),
        make("Where", ["sherpa.sure", "sherpa.whole", "sherpa.none"], ["sherpa.counted"]),
        make("Mul", ["sherpa.counted", "sherpa.counted"], ["sherpa.counted_squares"]),
        make("Mul", ["sherpa.counted", "sherpa.about"], ["sherpa.products"]),
        make("ReduceSum", ["sherpa.counted_squares", "sherpa.time"], ["sherpa.should_be"], keepdims=1),
        make("ReduceSum", ["sherpa.products", "sherpa.time"], ["sherpa.are"], keepdims=1),
        make("Equal", ["sherpa.should_be", "sherpa.none"], ["sherpa.unknown"]),
        make("Where", ["sherpa.unknown", "sherpa.one", "sherpa.should_be"], ["sherpa.over"]),
        make("Where", ["sherpa.unknown", "sherpa.one", "sherpa.are"], ["sherpa.under"]),
        make("Div", ["sherpa.over", "sherpa.under"], ["sherpa.correction"]),
        make("Mul", ["sherpa.rough", "sherpa.correction"], ["sherpa.level"]),
    ]


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
