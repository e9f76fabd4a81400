"""What a widget wants and what it has: objects, answers, steps; knows neither napari nor Qt."""
