"""Between napari's layers and values of the core; knows napari, but no Qt."""
