"""How programs of the model are compiled, and what their memory is taken from."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD = -3
"""glibc's M_MMAP_THRESHOLD (malloc.h)."""


def compiler_options(platform: str) -> dict[str, str | bool]:
    """Options of XLA for every program of the model, training or not.

    On processors products and sums along a window are left to XLA and Eigen, not to the YNN library, JAX 0.10's choice:
    the step of the demo's model then takes two thirds of the time (docs/model.md).
    """
    return {"xla_cpu_experimental_ynn_fusion_type": ""} if platform == "cpu" else {}


def give_memory_back() -> None:
    """Lets arrays of 1 MiB and more go back to the system when they are freed; elsewhere than on Linux nothing.

    glibc would keep freed blocks of up to 32 MiB: three updates of the released model on a processor leave 2.5 GiB of
    holes (docs/model.md).
    """
    if sys.platform == "linux":
        # Other C libraries have no mallopt, or ignore it.
        getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)(_MMAP_THRESHOLD, 1 << 20)
