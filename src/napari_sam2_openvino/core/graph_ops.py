"""Build graphs of OpenVINO's operations."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.decoder_weights import Linear, Norm

if TYPE_CHECKING:
    import openvino
    from openvino import Output as Node

Float = NDArray[np.float32]


class GraphOps:
    """OpenVINO's operations, as few as are needed, with constants made of arrays."""

    def __init__(self) -> None:
        from openvino import opset13

        self.ops = opset13

    def reshape(self, x: "Node", *shape: int) -> "Node":
        """Give an array another shape."""
        return self.ops.reshape(x, self._axes(*shape), False).output(0)

    def transpose(self, x: "Node", *order: int) -> "Node":
        """Put axes into another order."""
        return self.ops.transpose(x, self._axes(*order)).output(0)

    def _axes(self, *values: int) -> "openvino.Node":
        return self.ops.constant(np.array(values, np.int64))

    def product(self, x: "Node", y: "Node | Float", *transposed: str) -> "Node":
        """Multiply matrices; the names "x" and "y" say which one is transposed."""
        y = self.ops.constant(np.ascontiguousarray(y)).output(0) if isinstance(y, np.ndarray) else y
        return self.ops.matmul(x, y, "x" in transposed, "y" in transposed).output(0)

    def add(self, x: "Node", y: "Node | Float") -> "Node":
        """Add, with broadcasting."""
        return self.ops.add(x, self._constant(y)).output(0)

    def multiply(self, x: "Node", y: "Node | Float") -> "Node":
        """Multiply element by element, with broadcasting."""
        return self.ops.multiply(x, self._constant(y)).output(0)

    def _constant(self, x: "Node | Float") -> "Node":
        if not isinstance(x, np.ndarray):
            return x
        return self.ops.constant(np.asarray(x, np.float32)).output(0)

    def linear(self, x: "Node", linear: Linear) -> "Node":
        """Apply a linear layer to the last axis."""
        return self.add(self.product(x, linear.weight, "y"), linear.bias)

    def norm(self, x: "Node", norm: Norm) -> "Node":
        """Normalise the last axis."""
        last = self._axes(-1)
        normalised = self.ops.mvn(x, last, True, norm.eps, "INSIDE_SQRT").output(0)
        return self.add(self.multiply(normalised, norm.scale), norm.shift)

    def softmax(self, x: "Node", axis: int) -> "Node":
        """Softmax along an axis."""
        return self.ops.softmax(x, axis).output(0)

    def perceptron(self, x: "Node", layers: tuple[Linear, ...]) -> "Node":
        """Apply linear layers with ReLU between them."""
        for layer in layers[:-1]:
            x = self.ops.relu(self.linear(x, layer)).output(0)
        return self.linear(x, layers[-1])

    def token(self, x: "Node", index: int) -> "Node":
        """Take one token: (B, T, D) to (B, D)."""
        return self.ops.gather(x, self._index(index), self._index(1)).output(0)

    def _index(self, value: int) -> "openvino.Node":
        return self.ops.constant(np.int64(value))

    def inputs(self, shapes: Mapping[str, tuple[int, ...]]) -> "dict[str, Node]":
        """Return f32 inputs of a graph, by their names."""
        return {
            name: self.ops.parameter(list(shape), np.float32, name).output(0)
            for name, shape in shapes.items()
        }

    def in_half(self, x: "Node") -> "Node":
        """Let an input be given in half precision; return what it is in f32."""
        from openvino import Type

        x.get_node().set_element_type(Type.f16)
        return self.ops.convert(x, "f32").output(0)

    def graph(
        self, outputs: "Sequence[Node]", inputs: "Sequence[Node]", name: str
    ) -> "openvino.Model":
        """Return the graph between inputs and outputs."""
        import openvino

        results = [self.ops.result(each) for each in outputs]
        return openvino.Model(results, [each.get_node() for each in inputs], name)
