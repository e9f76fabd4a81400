"""Layer norms that round to 8 bits themselves, instead of an operation behind each.

OpenVINO 2026.4.1 fuses the rounding with a norm over the last of three axes, not with one over the
last of two, where it takes the numbers for channels. The rounding would read and write all of them
again, in f32.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import openvino


def fuse_rounding(graph: "openvino.Model") -> int:
    """Give each norm that only feeds roundings, and these, a first axis of length 1.

    Parameters
    ----------
    graph : openvino.Model
        Quantized by NNCF; changed in place. It computes the same.

    Returns
    -------
    int
        How many norms were changed.
    """
    count = 0
    for norm in graph.get_ordered_ops():
        if norm.get_type_name() != "MVN" or len(norm.output(0).get_partial_shape()) != 2:
            continue
        roundings = [port.get_node() for port in norm.output(0).get_target_inputs()]
        if roundings and all(each.get_type_name() == "FakeQuantize" for each in roundings):
            _fuse(norm, roundings)
            count += 1
    graph.validate_nodes_and_infer_types()
    return count


def _fuse(norm: Any, roundings: list[Any]) -> None:
    from openvino import opset13 as ops

    first, last = ops.constant(np.array([0])), ops.constant(np.array([-1]))
    source = norm.input(0).get_source_output()
    options = norm.get_attributes()
    normed = ops.mvn(
        ops.unsqueeze(source, first),
        last,
        options["normalize_variance"],
        options["eps"],
        options["eps_mode"],
    )
    normed.set_friendly_name(norm.get_friendly_name())
    for rounding in roundings:
        users = list(rounding.output(0).get_target_inputs())
        rounding.input(0).replace_source_output(normed.output(0))
        squeezed = ops.squeeze(rounding.output(0), first)
        for user in users:
            user.replace_source_output(squeezed.output(0))
