"""The demo world: a small genome with a known grammar, and its assays as real files with known true rates."""

STAGE_VERSION = 3
