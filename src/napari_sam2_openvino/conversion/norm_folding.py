"""Scale and shift of layer norms, moved into the matrices behind them.

A trained transformer has channels that are much larger than others, and the scale of a layer norm
is where they come from. Moved into the matrices, whose rows have ranges of their own in 8 bits, it
leaves activations that are all alike. The function stays the same.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino

Float = NDArray[np.float32]


def fold_norms(graph: "openvino.Model") -> int:
    """Move scale and shift of each norm that feeds matrix products alone into their weights.

    Parameters
    ----------
    graph : openvino.Model
        Changed in place; it computes the same up to rounding.

    Returns
    -------
    int
        How many norms were changed.
    """
    count = 0
    for norm in graph.get_ordered_ops():
        if norm.get_type_name() != "MVN":
            continue
        scaled = _only_user(norm, "Multiply")
        shifted = _only_user(scaled, "Add") if scaled is not None else None
        if scaled is None or shifted is None:
            continue
        scale, shift = _constant(scaled, norm), _constant(shifted, scaled)
        products = list(_users(shifted))
        if scale is None or shift is None or not all(map(_has_rows_of_weights, products)):
            continue
        for product in products:
            _fold(product, norm, scale.ravel(), shift.ravel())
        count += 1
    graph.validate_nodes_and_infer_types()
    return count


def _fold(product: Any, norm: Any, scale: Float, shift: Float) -> None:
    """Let a product take what is not scaled and shifted."""
    from openvino import opset13 as ops

    source = product.input(1).get_source_output().get_node()
    weights = _value(source)
    assert weights is not None
    scaled = ops.constant(weights * scale, name=f"{source.get_friendly_name()}/scaled")
    users = list(product.output(0).get_target_inputs())
    product.input(0).replace_source_output(norm.output(0))
    product.input(1).replace_source_output(scaled.output(0))
    added = ops.add(product.output(0), ops.constant(weights @ shift))
    added.set_friendly_name(f"{product.get_friendly_name()}/shift")
    for user in users:
        user.replace_source_output(added.output(0))


def _users(node: Any) -> Iterator[Any]:
    for port in node.output(0).get_target_inputs():
        yield port.get_node()


def _only_user(node: Any, kind: str) -> Any | None:
    users = list(_users(node))
    return users[0] if len(users) == 1 and users[0].get_type_name() == kind else None


def _constant(node: Any, other: Any) -> Float | None:
    """Return the operand of a node that is not another node, if it is constant."""
    sources = [port.get_source_output().get_node() for port in node.inputs()]
    names = [source.get_friendly_name() for source in sources]
    return _value(sources[1 - names.index(other.get_friendly_name())])


def _value(node: Any) -> Float | None:
    """Return a constant, which may be stored in half precision."""
    if node.get_type_name() == "Convert":
        node = node.input(0).get_source_output().get_node()
    if node.get_type_name() != "Constant":
        return None
    value: Float = np.array(node.data, dtype=np.float32)
    return value


def _has_rows_of_weights(node: Any) -> bool:
    """Tell whether a node multiplies by constant weights, one row for each channel it makes."""
    if node.get_type_name() != "MatMul" or not node.get_attributes()["transpose_b"]:
        return False
    return _value(node.input(1).get_source_output().get_node()) is not None
