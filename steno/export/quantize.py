"""Eight-bit weights for an ONNX graph of ours: smaller, and faster on a CPU.

In four steps, each a function of its own:

1. Convolutions over time become matrix products of the frames that their kernels see: ONNX Runtime is quick with
   8-bit products, and slow with 8-bit convolutions.
2. ONNX Runtime's dynamic quantiser takes the matrix products: weights with one scale a column, activations with one
   scale for the whole tensor, found when they come. So no data is needed to calibrate it.
3. What a convolution's kernel sees at several places is rounded once, before it is put beside each other: that moves
   a quarter of the bytes.
4. What the quantiser does not cover, GRUs and convolutions over time and frequency, is stored in 8 bits, one scale a
   row, and widened when the graph is loaded: as small on disk, but no faster.

The front-end stays in float: powers of a spectrum span too many orders of magnitude.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

Array = npt.NDArray[Any]

_LEAST = 4096
"""Numbers in weights that are worth the work."""
_LEAST_OUTPUTS = 48
"""Columns of a product that is worth it; the classifier of characters has fewer, and decides the text."""
Stored = dict[str, tuple[tuple[int, ...], int]]
"""Of which operators which inputs are only stored in 8 bits, and the axis whose every index has a scale."""
_STORED: Stored = {"GRU": ((1, 2), 1), "LSTM": ((1, 2), 1), "Conv": ((1,), 0)}
_LEVELS = 127.0
_ODD = 100.0
_FRONT_END = "frontend"
_ROUNDING = "DynamicQuantizeLinear"
_PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")
"""Tells the quantiser that the graph needs no preparation, or it warns of it."""


def quantized(model: ModelProto) -> ModelProto:
    """A graph with 8-bit weights that takes and gives what the given one does."""
    return stored_in_8_bits(rounded_once(with_8_bit_products(convolutions_as_products(model))))


def in_8_bits(model: ModelProto) -> bool:
    """Whether a graph has 8-bit weights already."""
    small = (TensorProto.INT8, TensorProto.UINT8)
    return any(one.data_type in small and np.prod(one.dims) >= _LEAST for one in model.graph.initializer)


def convolutions_as_products(model: ModelProto) -> ModelProto:
    """Convolutions over time, (B, C, T) → (B, C', T'), as matrix products; depthwise ones stay."""
    graph = _Graph(model)

    def rewrite(node: NodeProto) -> list[NodeProto]:
        if node.op_type != "Conv" or not graph.large(node, 1, rank=3) or _attribute(node, "group", 1) != 1:
            return [node]
        return _as_product(graph, node)

    return graph.rewritten(rewrite)


def with_8_bit_products(model: ModelProto) -> ModelProto:
    """Matrix products with constant weights in 8 bits, activations quantised as they come."""
    graph = _Graph(model)
    names = [node.name for node in model.graph.node if node.op_type == "MatMul" and graph.large(node, 1, rank=2)]
    if not names:
        return model
    prepared = ModelProto()
    prepared.CopyFrom(model)
    helper.set_model_props(prepared, dict([_PREPARED]))
    with tempfile.TemporaryDirectory(prefix="steno-") as scratch:
        target = Path(scratch, "model.onnx")
        quantize_dynamic(
            prepared,
            target,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=names,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        found = onnx.load(target)
    del found.metadata_props[:], found.graph.value_info[:]
    found.metadata_props.extend(model.metadata_props)
    return found


def rounded_once(model: ModelProto) -> ModelProto:
    """Activations of which frames are put beside each other are rounded before that, instead of after."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    before: dict[str, NodeProto] = {}  # what rounds the whole, by the first slice of it
    cut: dict[str, str] = {}  # of each slice, the rounded whole
    after: dict[str, str] = {}  # what was rounded, by what it is now
    for node in model.graph.node:
        whole = _whole(made_by, node) if node.op_type == _ROUNDING else None
        if whole is None:
            continue
        slices, small = made_by[node.input[0]].input, f"{node.output[0]}.whole"
        before[slices[0]] = helper.make_node(_ROUNDING, [whole], [small, *node.output[1:]], name=node.name)
        cut |= dict.fromkeys(slices, small)
        after[node.input[0]] = node.output[0]

    def rewrite(node: NodeProto) -> list[NodeProto]:
        name = node.output[0]
        if name in cut:
            node.input[0] = cut[name]
        node.output[0] = after.get(name, name)
        if node.op_type == _ROUNDING and name in after.values():
            return []
        return [before[name], node] if name in before else [node]

    return _Graph(model).rewritten(rewrite)


def _whole(made_by: dict[str, NodeProto], rounding: NodeProto) -> str | None:
    """What is cut into slices and put together again before it is rounded, if it is one thing."""
    beside = made_by.get(rounding.input[0])
    if beside is None or beside.op_type != "Concat":
        return None
    parts = [made_by.get(name) for name in beside.input]
    wholes = {part.input[0] if part is not None and part.op_type == "Slice" else None for part in parts}
    return wholes.pop() if len(wholes) == 1 else None


def stored_in_8_bits(
    model: ModelProto, stored: Stored = _STORED, which: Callable[[NodeProto], bool] = lambda node: True
) -> ModelProto:
    """Weights, by default those of GRUs and of large convolutions, in 8 bits, widened when the graph is loaded."""
    graph = _Graph(model)
    widened: dict[str, str] = {}

    def rewrite(node: NodeProto) -> list[NodeProto]:
        if node.op_type not in stored or not which(node):
            return [node]
        places, axis = stored[node.op_type]
        nodes: list[NodeProto] = []
        for place in (place for place in places if graph.large(node, place)):
            name = node.input[place]
            if name not in widened:
                widened[name] = f"{name}.float"
                nodes += _widen(graph, name, axis)
            node.input[place] = widened[name]
        return [*nodes, node]

    return graph.rewritten(rewrite)


def _widen(graph: "_Graph", name: str, axis: int) -> list[NodeProto]:
    """Nodes that make weights of 8 bits, scales, and columns that stay in float; ONNX Runtime runs them once, when it
    loads the graph, which it would not do with ``DequantizeLinear``."""
    weights = graph.weight(name)
    kept = weights.shape[-1] - _odd_columns(weights)
    found, scales = by_rows(weights[..., :kept], axis)
    small, scaled = graph.keep(f"{name}.int8", found), graph.keep(f"{name}.scales", scales)
    last = f"{name}.float" if kept == weights.shape[-1] else f"{name}.most"
    nodes = [
        helper.make_node("Cast", [small], [f"{name}.cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.cast", scaled], [last]),
    ]
    if kept < weights.shape[-1]:
        rest = graph.keep(f"{name}.rest", weights[..., kept:])
        nodes.append(helper.make_node("Concat", [last, rest], [f"{name}.float"], axis=-1))
    return nodes


def _odd_columns(weights: Array) -> int:
    """Columns at the end that are so much larger than the others that no scale would do for both.

    A streaming model's step has one: the switch that makes a GRU hold its state.
    """
    largest = np.abs(weights).max(axis=tuple(range(weights.ndim - 1)))
    odd = largest > _ODD * np.median(largest)
    return int(np.argmin(odd[::-1]))


def by_rows(weights: Array, axis: int) -> tuple[Array, Array]:
    """Weights in int8, and a scale for each index of the axis, of the weights' rank: their product is the weights."""
    others = tuple(i for i in range(weights.ndim) if i != axis)
    largest = np.abs(weights).max(axis=others, keepdims=True)
    scales = np.where(largest == 0, 1.0, largest / _LEVELS).astype(np.float32)
    return np.rint(weights / scales).astype(np.int8), scales


class _Graph:
    """A copy of a graph with its constants at hand."""

    def __init__(self, model: ModelProto) -> None:
        self._model = ModelProto()
        self._model.CopyFrom(model)
        self._constants = {tensor.name: tensor for tensor in self._model.graph.initializer}

    def large(self, node: NodeProto, place: int, rank: int | None = None) -> bool:
        """Whether this input of a node is a matrix of weights that is worth the work, and not the front-end's."""
        name = node.input[place]
        weights = self._constants.get(name)
        if weights is None or weights.data_type != TensorProto.FLOAT or name.startswith(_FRONT_END):
            return False
        if f"/{_FRONT_END}/" in node.name or rank not in (None, len(weights.dims)):
            return False
        few = node.op_type == "MatMul" and weights.dims[-1] < _LEAST_OUTPUTS
        return int(np.prod(weights.dims)) >= _LEAST and not few

    def weight(self, name: str) -> Array:
        """A constant's values."""
        found: Array = numpy_helper.to_array(self._constants[name])
        return found

    def keep(self, name: str, values: Array) -> str:
        """Add a constant; returns its name."""
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def rewritten(self, rewrite: Callable[[NodeProto], list[NodeProto]]) -> ModelProto:
        """The model with each node replaced, and without constants that nothing uses any more."""
        nodes = [new for node in self._model.graph.node for new in rewrite(node)]
        used = {name for node in nodes for name in node.input}
        del self._model.graph.node[:], self._model.graph.initializer[:]
        self._model.graph.node.extend(nodes)
        self._model.graph.initializer.extend(one for one in self._constants.values() if one.name in used)
        return self._model


def _as_product(graph: _Graph, node: NodeProto) -> list[NodeProto]:
    """Pad, put the frames that the kernel sees beside each other, (B, T', K C), and multiply."""
    weights_ock = graph.weight(node.input[1])
    outputs, _, width = weights_ock.shape
    (stride,), (dilation,) = _attribute(node, "strides", [1]), _attribute(node, "dilations", [1])
    left, right = _padding(node, width, dilation)
    x, out = node.input[0], node.output[0]
    nodes = [helper.make_node("Transpose", [x], [f"{out}.btc"], perm=[0, 2, 1])]
    last = f"{out}.btc"
    if left or right:
        pads = graph.keep(f"{out}.pads", np.array([0, left, 0, 0, right, 0], np.int64))
        nodes.append(helper.make_node("Pad", [last, pads], [f"{out}.padded"]))
        last = f"{out}.padded"
    if width > 1 or stride > 1:
        nodes += _beside(graph, last, f"{out}.seen", width, stride, dilation)
        last = f"{out}.seen"
    matrix = graph.keep(f"{out}.matrix", weights_ock.transpose(2, 1, 0).reshape(-1, outputs))
    nodes.append(helper.make_node("MatMul", [last, matrix], [f"{out}.product"], name=f"{out}.product"))
    last = f"{out}.product"
    if len(node.input) > 2:
        nodes.append(helper.make_node("Add", [last, node.input[2]], [f"{out}.sum"]))
        last = f"{out}.sum"
    return [*nodes, helper.make_node("Transpose", [last], [out], perm=[0, 2, 1])]


def _beside(graph: _Graph, x: str, output: str, width: int, stride: int, dilation: int) -> Iterator[NodeProto]:
    axis = graph.keep(f"{output}.axis", np.array([1], np.int64))
    step = graph.keep(f"{output}.step", np.array([stride], np.int64))
    seen = []
    for k in range(width):
        # As far from the end as the last frame that this place of the kernel sees.
        end = -(width - 1 - k) * dilation or np.iinfo(np.int64).max
        bounds = [
            graph.keep(f"{output}.{name}{k}", np.array([value], np.int64))
            for name, value in (("start", k * dilation), ("end", end))
        ]
        seen.append(f"{output}.{k}")
        yield helper.make_node("Slice", [x, *bounds, axis, step], [seen[-1]])
    yield helper.make_node("Concat", seen, [output], axis=2)


def _padding(node: NodeProto, width: int, dilation: int) -> tuple[int, int]:
    """Zeros before and after, of a convolution over time."""
    automatic = _attribute(node, "auto_pad", b"NOTSET")
    if automatic in (b"SAME_UPPER", b"SAME_LOWER"):  # only with a stride of 1, as torch writes it
        total = (width - 1) * dilation
        return (total // 2, -(-total // 2)) if automatic == b"SAME_UPPER" else (-(-total // 2), total // 2)
    left, right = _attribute(node, "pads", [0, 0])
    return left, right


def _attribute(node: NodeProto, name: str, absent: Any) -> Any:
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), absent)
