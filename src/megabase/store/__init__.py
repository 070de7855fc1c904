"""The Zarr store of an organism, the windows into it, and the batches read from them."""

STAGE_VERSION = 6
