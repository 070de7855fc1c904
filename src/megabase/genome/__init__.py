"""Reference sequence, annotation, regions and masks."""

STAGE_VERSION = 2
