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

PART_CHANCES: Mapping[Kind, float] = MappingProxyType(
    {
        "brightfield": 0.3,
        "membrane": 0.2,
        "electron": 0.25,
        "phase": 0.4,
        "cytoplasm": 0.95,
        "smear": 0.3,
    }
)
"""For kinds whose objects may have parts: the chance, in half of the scenes, that one has."""
