"""How a model is quantized: which numbers become 8 bits, and which operations are left alone.

The presets are the outcome of ``scripts/quantization_study.py``; docs/quantization.md has its
figures.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import openvino

Place = Literal[
    "attention",
    "patch embedding",
    "stage transitions",
    "neck",
    "high-resolution features",
    "MLP outputs",
]

# By the names that tracing gives to operations: those of SAM 2's modules.
_PATTERNS: dict[Place, str] = {
    "attention": r".*scaled_dot_product_attention.*",
    "patch embedding": r".*\.patch_embed\..*",
    "neck": r".*\.neck\.convs\..*",
    "high-resolution features": r".*\.conv_s[01]/.*",
    "MLP outputs": r".*\.mlp\.layers\.1/.*",
}
# A block of the trunk with a projection of its own is where a stage begins.
_TRANSITION = re.compile(r".*\.(blocks\.\d+)\.proj/.*")


@dataclass(frozen=True)
class Recipe:
    """One way to quantize a model.

    Parameters
    ----------
    activations : bool
        Whether the image encoder also computes in 8 bits ("full INT8"), by ranges that are seen in
        calibration images; otherwise weights alone are stored in 8 bits.
    decoder_weights : bool
        Whether the mask decoder's weights are stored in 8 bits too. It always computes in the
        precision that the model is loaded with.
    kept : tuple of str
        Places of the image encoder that are left as they are.
    smooth_quant : float or None
        Strength of SmoothQuant, which moves outlier channels from activations to weights: 0 to 1;
        None leaves it out.
    most_images : int
        How many calibration images are used at most.
    """

    activations: bool = True
    decoder_weights: bool = False
    kept: tuple[Place, ...] = ()
    smooth_quant: float | None = None
    most_images: int = 24


PRESETS: dict[str, Recipe] = {
    "safe": Recipe(activations=False, decoder_weights=True),
    "balanced": Recipe(kept=("patch embedding",)),
    "fast": Recipe(),
}


def kept_operations(graph: "openvino.Model", recipe: Recipe) -> list[str]:
    """Return the names of the operations of a graph that are left alone.

    Beside what the recipe keeps, these are the phases of position encodings, which are multiples
    of 2 pi and need more than 8 bits, and what is computed from constants alone.
    """
    names = [node.get_friendly_name() for node in graph.get_ops()]
    patterns = [re.compile(_PATTERNS[place]) for place in recipe.kept if place in _PATTERNS]
    if "stage transitions" in recipe.kept:
        blocks = {match[1] for name in names if (match := _TRANSITION.fullmatch(name))}
        patterns += [re.compile(rf".*\.{re.escape(block)}[./].*") for block in sorted(blocks)]
    kept = {name for name in names if any(pattern.fullmatch(name) for pattern in patterns)}
    return sorted(kept | _constant_products(graph) | _phases(graph))


def _constant_products(graph: "openvino.Model") -> set[str]:
    """Return the matrix products that depend on no input."""
    depends: set[str] = set()
    constant = set()
    for node in graph.get_ordered_ops():
        name = node.get_friendly_name()
        if node.get_type_name() == "Parameter" or depends & set(_sources(node)):
            depends.add(name)
        elif node.get_type_name() == "MatMul":
            constant.add(name)
    return constant


def _phases(graph: "openvino.Model") -> set[str]:
    """Return the matrix products whose sine or cosine is taken."""
    nodes = {node.get_friendly_name(): node for node in graph.get_ops()}
    found = set()
    waiting = [name for name, node in nodes.items() if node.get_type_name() in ("Sin", "Cos")]
    while waiting:
        name = waiting.pop()
        if nodes[name].get_type_name() == "MatMul":
            found.add(name)
        else:
            waiting += _sources(nodes[name])
    return found


def _sources(node: "openvino.Node") -> list[str]:
    return [each.get_source_output().get_node().get_friendly_name() for each in node.inputs()]
