"""Using a trained model: predictions, and scores of variants."""

STAGE_VERSION = 1
