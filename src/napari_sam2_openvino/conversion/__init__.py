"""SAM 2 checkpoints to OpenVINO: the only part that needs torch and sam2."""
