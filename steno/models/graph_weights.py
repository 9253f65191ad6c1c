"""Weights read back from an exported graph, be it in float or in 8 bits."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import NodeProto, numpy_helper
from torch import Tensor

Array = npt.NDArray[np.float32]


def graph_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a graph that :mod:`steno.models.export` wrote, by their names in the model.

    Weights in 8 bits come back rounded as they were stored. The graph keeps the names of most; the matrices of linear
    layers are found by the scope of the product that they are in. Those of recurrent layers have another order in ONNX
    and are left out, and so are convolutions that became products, and all but one of weights that are equal, as in a
    model that is not trained.

    Raises:
        ValueError: the file is no ONNX graph.
    """
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's own errors are not all of one kind
        raise ValueError(f"not an ONNX graph ({error})") from error
    constants = {tensor.name: tensor for tensor in graph.initializer}

    def value(name: str) -> Array:
        found: Array = numpy_helper.to_array(constants[name])
        return found

    def stored() -> Iterator[tuple[str, Array]]:
        for name in constants:
            if name.startswith(("onnx::", "/")):
                continue
            if name.endswith(".int8"):
                yield name.removesuffix(".int8"), _in_float(name)
            elif f"{name.rpartition('.')[0]}.int8" not in constants:
                yield name, value(name)
        for node in graph.node:
            if node.op_type not in ("MatMul", "MatMulInteger"):
                continue
            in_8_bits = f"{node.input[1].removesuffix('.float')}.int8"
            if node.input[1] in constants:
                yield f"{_module(node)}.weight", _matrix(node).T
            elif in_8_bits in constants and in_8_bits.startswith("onnx::"):
                yield f"{_module(node)}.weight", _in_float(in_8_bits).T

    def _in_float(name: str) -> Array:
        plain = name.removesuffix(".int8")
        parts = [value(name) * value(f"{plain}.scales")]
        parts += [value(f"{plain}.rest")] if f"{plain}.rest" in constants else []
        return np.concatenate(parts, axis=-1)

    def _matrix(node: NodeProto) -> Array:
        name = node.input[1]
        if node.op_type == "MatMul":
            return value(name)
        plain = name.removesuffix("_quantized")
        return (value(name).astype(np.float32) - value(f"{plain}_zero_point")) * value(f"{plain}_scale")

    return {name: torch.from_numpy(np.array(found, np.float32)) for name, found in stored()}


def _module(node: NodeProto) -> str:
    """The module that a node comes from: ``/encoder/blocks.0/first/first.1/MatMul`` → ``encoder.blocks.0.first.1``."""
    path: list[str] = []
    for part in node.name.strip("/").split("/")[:-1]:
        if path and part.startswith(f"{path[-1]}."):
            path[-1] = part
        else:
            path.append(part)
    return ".".join(path)
