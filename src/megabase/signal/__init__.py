"""Source files become normalised tracks: one file of values per track, one module per family of formats."""

STAGE_VERSION = 3
