"""A trained neural language model as one file: an ONNX graph with 8-bit weights, its pieces among its metadata."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
import torch
from onnx import ModelProto, helper, numpy_helper

from steno.errors import LanguageModelError, ModelError
from steno.export.quantize import Stored, quantized, stored_in_8_bits
from steno.models.graph_weights import graph_weights
from steno.models.language_model import TransformerLM
from steno.runtime.neural_lm import METADATA, NeuralLM
from steno.text import PieceTokenizer

TOLERANCE = 0.05
"""Greatest difference of ln of a piece's chance, on average, between torch and the graph in 8 bits that is accepted."""
_EMBEDDING = "classifier.weight"
_TABLE: Stored = {"Gather": ((0,), 0), "Transpose": ((0,), 0)}
_WIDE: Stored = {"MatMul": ((1,), 1)}
"""Products with squares, a few of which are so large that one scale of 8 bits would round most of them to 0."""


def write_language_model(model: TransformerLM, tokenizer: PieceTokenizer, path: Path, about: dict[str, Any]) -> float:
    """Write the file, and prove that it says what the model does.

    Input: ``labels`` (B, T) int64, 0 behind the end of a text. Output: ``log_probs`` (B, T), ln of the chance of each.

    Args:
        about: what the model was made of, for whoever opens it.

    Returns:
        How much ln of a piece's chance differs from the model's, on average over texts of random pieces.

    Raises:
        ModelError: the difference is above :data:`TOLERANCE`.
    """
    model = model.eval().cpu()
    with tempfile.TemporaryDirectory(prefix="steno-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of itself: it is the older one
        target = Path(scratch, "model.onnx")
        torch.onnx.export(
            model,
            (torch.ones(2, 5, dtype=torch.long),),
            str(target),
            input_names=["labels"],
            output_names=["log_probs"],
            dynamic_axes={name: {0: "batch", 1: "pieces"} for name in ("labels", "log_probs")},
            opset_version=17,
            dynamo=False,
        )
        graph = _tied(onnx.load(target))
    graph = stored_in_8_bits(graph, _WIDE, lambda node: "/down/" in node.name)
    graph = stored_in_8_bits(quantized(graph), _TABLE)
    held = {"kind": tokenizer.kind, "pieces": tokenizer.pieces, "alphabet": tokenizer.alphabet, "about": about}
    helper.set_model_props(graph, {METADATA: orjson.dumps(held).decode()})
    partial = path.with_name(path.name + ".part")
    onnx.save(graph, partial)
    difference = _difference(model, NeuralLM(partial), len(tokenizer))
    if difference > TOLERANCE:
        partial.unlink()
        raise ModelError(f"{path}: the graph in 8 bits differs from the model by {difference:.2g} a piece")
    partial.replace(path)
    return difference


def read_language_model(path: Path) -> tuple[TransformerLM, NeuralLM]:
    """The model of a file that :func:`write_language_model` wrote, its weights as 8 bits left them; the file, opened.

    Raises:
        LanguageModelError: it is no such file.
    """
    opened = NeuralLM(path)
    weights = graph_weights(path)
    labels, size = weights[_EMBEDDING].shape
    layers = len({name.split(".")[1] for name in weights if name.startswith("layers.")})
    model = TransformerLM(labels, size, layers)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise LanguageModelError(f"{path}: its weights cannot be read back ({error})") from None
    return model, opened


def _tied(model: ModelProto) -> ModelProto:
    """The graph with the matrix that classifies made of the one that pieces are looked up in, which the exporter
    writes twice, once on its side."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    table = numpy_helper.to_array(weights[_EMBEDDING])
    for name, tensor in weights.items():
        if [*tensor.dims] == [*table.T.shape] and np.array_equal(numpy_helper.to_array(tensor), table.T):
            model.graph.initializer.remove(tensor)
            model.graph.node.insert(0, helper.make_node("Transpose", [_EMBEDDING], [name], perm=[1, 0]))
    return model


def _difference(model: TransformerLM, graph: NeuralLM, labels: int) -> float:
    generator = torch.Generator().manual_seed(1)
    texts = [torch.randint(1, labels, (length,), generator=generator) for length in (1, 7, 40, 150)]
    with torch.inference_mode():
        expected = [float(model(text[None]).sum()) for text in texts]
    found = graph.log_likelihoods_of([text.tolist() for text in texts])
    return float(np.abs(found - expected).sum() / sum(map(len, texts)))
