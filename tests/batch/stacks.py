"""Small stacks with objects that move from plane to plane."""

import numpy as np


def spots(shape, seed=0, dtype=np.uint16):
    """Return a stack of bright discs on a dark ground; each plane has a few, elsewhere."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[-2], : shape[-1]]
    image = rng.normal(300, 20, shape)
    for plane in np.ndindex(shape[:-2]):
        for _ in range(1 + sum(plane) % 4):
            y, x = rng.uniform(0, shape[-2]), rng.uniform(0, shape[-1])
            image[plane] += np.where((rows - y) ** 2 + (columns - x) ** 2 < 25, 2500, 0)
    return np.clip(image, 0, np.iinfo(dtype).max).astype(dtype)
