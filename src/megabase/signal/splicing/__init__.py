"""Reads and junction tables become counts of splice junctions and usage of splice sites (paper section 1.6)."""

STAGE_VERSION = 1
