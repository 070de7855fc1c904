"""How programs of the model are compiled."""

from __future__ import annotations


def compiler_options(platform: str) -> dict[str, str | bool]:
    """Options of XLA for every program of the model, training or not.

    On processors products and sums along a window are left to XLA and Eigen, not to the YNN library, JAX 0.10's choice:
    the step of the demo's model then takes two thirds of the time (docs/model.md).
    """
    return {"xla_cpu_experimental_ynn_fusion_type": ""} if platform == "cpu" else {}
