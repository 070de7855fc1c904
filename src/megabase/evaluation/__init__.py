"""Held-out predictions against what was observed, simple baselines and, in simulated worlds, the truth."""

STAGE_VERSION = 5
