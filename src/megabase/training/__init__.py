"""Windows become weights: losses, the step, the loop and its checkpoints."""

STAGE_VERSION = 7
