"""Which parameters of the search for every object are in forms, and in which order."""

# Thresholds between crops are for whoever asks for crops; scores are in the filter.
FILTER_NAMES = (
    "pred_iou_thresh",
    "stability_score_thresh",
    "box_nms_thresh",
    "max_overlap",
    "min_area",
    "max_area",
    "exclude_border",
    "remove_background",
)
GENERATOR_NAMES = (
    "points_per_side",
    "crop_n_layers",
    "min_mask_region_area",
    "multimask_output",
    "use_m2m",
    "quick",
)
