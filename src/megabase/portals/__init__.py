"""Where source files come from: a table of them, pinned with sizes and checksums, and verified when they are read."""

STAGE_VERSION = 3
