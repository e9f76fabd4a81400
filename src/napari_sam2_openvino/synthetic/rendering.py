"""Which function shows the objects of which kind, and which kinds are in colour or in 16 bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from napari_sam2_openvino.synthetic import emitted, stained, transmitted
from napari_sam2_openvino.synthetic.optics import Intensity
from napari_sam2_openvino.synthetic.parameters import Kind, SceneParameters
from napari_sam2_openvino.synthetic.placement import Layout

Renderer: TypeAlias = Callable[[np.random.Generator, Layout, SceneParameters], Intensity]

RENDERERS: Mapping[Kind, Renderer] = MappingProxyType(
    {
        "fluorescence": emitted.render_fluorescence,
        "brightfield": transmitted.render_brightfield,
        "darkfield": emitted.render_darkfield,
        "membrane": emitted.render_membrane,
        "tissue": stained.render_tissue,
        "elongated": emitted.render_elongated,
        "electron": transmitted.render_electron,
        "phase": transmitted.render_phase,
        "cytoplasm": emitted.render_cytoplasm,
        "filaments": emitted.render_filaments,
        "smear": stained.render_smear,
        "particles": transmitted.render_particles,
    }
)

SIXTEEN_BIT: frozenset[Kind] = frozenset({"fluorescence", "membrane"})
"""Kinds whose images are uint16; the others are uint8."""

DARK_GROUND: frozenset[Kind] = frozenset(
    {"fluorescence", "darkfield", "membrane", "elongated", "cytoplasm", "filaments"}
)
"""Kinds in which objects are brighter than the background."""

PART_CHANCES: Mapping[Kind, tuple[float, float]] = MappingProxyType(
    {
        "brightfield": (0.4, 0.5),
        "membrane": (0.4, 0.5),
        "electron": (0.5, 0.4),
        "phase": (0.5, 0.7),
        "cytoplasm": (0.85, 0.95),
        "smear": (0.8, 0.3),
    }
)
"""For kinds with parts: the chance that a scene has some, and that an object of it has one."""
