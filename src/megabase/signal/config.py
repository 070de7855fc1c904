"""How source files become signal."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from megabase.settings import settings


@settings
class SignalConfig:
    """Choices that hold for every track; what differs by track stands in the source table."""

    total: Annotated[float, Field(gt=0)] = 1e8
    """Sum over the genome that read-count tracks are scaled to (both strands of a pair together)."""
    min_mapping_quality: Annotated[int, Field(ge=0, le=255)] = 30
    """Alignments below this mapping quality are not counted."""
    bam_index: Literal["required", "build", "stream"] = "required"
    """`required`: a BAM without .bai/.csi is refused. `build`: an index is made for the time of reading (the BAM is
    sorted). `stream`: it is read whole, once, in file order."""
    atac_shift: tuple[int, int] = (4, -4)
    """Bases added to the 5' end of plus- and minus-strand ATAC reads to reach the insertion site."""
    dnase_shift: tuple[int, int] = (0, 1)
    """The same for DNase."""
    contact_resolution: Annotated[int, Field(gt=0)] = 1000
    """Bin size, in bp, that is read from contact maps of several resolutions (`mcool`)."""
    coarsen_up_to: Annotated[int, Field(ge=0)] = 1000
    """Contact maps with bins of at most this many bp are coarse-grained adaptively before the log ratio."""
    length_tolerance: Annotated[int, Field(ge=0)] = 0
    """Bases by which a file's chromosome length may differ from the assembly's (contact maps: one bin, always)."""
