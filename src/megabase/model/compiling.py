"""How programs of the model are compiled."""

from __future__ import annotations

import ctypes
import gc

from jax.stages import Compiled, Lowered

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of `mallopt` (malloc.h): how much free memory is kept, and how many blocks lie outside the heap."""


def compiler_options(platform: str, devices: int) -> dict[str, str | bool]:
    """Options of XLA for every program of the model, training or not.

    On processors products and sums along a window are left to XLA and Eigen, not to the YNN library, JAX 0.10's choice:
    the step of the demo's model then takes two thirds of the time. And the barriers that `jax.checkpoint` sets stay:
    XLA would remove them and then merge what is to be computed again with what was computed before, which is kept for
    the backward pass as if nothing had been said (docs/model.md has both in numbers). Programs of several devices,
    which processors are made to look like in tests, are left as XLA has them: with barriers, two of their exchanges
    were seen to wait for each other.

    On a GPU matrix products are cuBLAS's, of which a few candidates are timed, not Triton's, of which dozens are
    compiled and timed for each of the 690 products in an update of the paper's model. They are as fast (docs/model.md).
    """
    if platform == "gpu":
        return {"xla_gpu_enable_triton_gemm": False, "xla_gpu_experimental_enable_fusion_autotuner": False}
    if platform != "cpu":
        return {}
    options: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""}
    return options | {"xla_disable_hlo_passes": "cse_barrier_expander"} if devices == 1 else options


def keep_memory() -> None:
    """Lets this process keep what it frees, for the next call of a program to use again.

    For processes that call the same programs again and again: the GNU C library gives large blocks back to the system,
    which clears them page by page when the next call asks for them. Of the processor time of the demo's training that
    was 15 %, of the paper model's gradient 5 % (docs/model.md). Other C libraries are left as they are.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)


def compiled(lowered: Lowered, platform: str, devices: int) -> Compiled:
    """The program for devices of a platform; memory that only tracing and compiling needed, over a GiB for the paper's
    model, is freed."""
    program = lowered.compile(compiler_options(platform, devices))
    gc.collect()
    # The GNU C library's; others do without.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    return program
