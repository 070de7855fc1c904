"""Floating-point operations of a program, from the shapes of its matrix products and convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.sharding import AbstractDevice, AbstractMesh, AxisType

from megabase.model.sharding import DATA

_PROCESSORS = AbstractMesh((2,), (DATA,), (AxisType.Auto,), abstract_device=AbstractDevice("cpu", None, "cpu"))
"""What is counted is for several of them, whatever this machine has: one alone has fewer products for a convolution
than are written (`model.winograd`)."""


def counted(function: Callable[..., Any], *arguments: Any) -> int:
    """Operations of one call, a multiplication and its addition as two, as in architecture reference 12; what is not a
    matrix product or a convolution is not counted. `arguments` may be shapes alone."""
    with jax.sharding.use_abstract_mesh(_PROCESSORS):
        return _of(jax.make_jaxpr(function)(*arguments).jaxpr)


def _of(program: Jaxpr) -> int:
    total = 0
    for step in program.eqns:
        out = math.prod(_shape(step.outvars[0])) if step.outvars else 0
        if step.primitive.name == "dot_general":
            (summed, _), _ = step.params["dimension_numbers"]
            total += 2 * out * math.prod(_shape(step.invars[0])[axis] for axis in summed)
        elif step.primitive.name == "conv_general_dilated":
            kernel = _shape(step.invars[1])
            total += 2 * out * math.prod(kernel) // kernel[step.params["dimension_numbers"].rhs_spec[0]]
        else:
            times = step.params["length"] if step.primitive.name == "scan" else 1
            total += times * sum(map(_of, _inside(step.params)))
    return total


def _shape(value: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = getattr(value.aval, "shape", ())
    return shape


def _inside(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The programs that a step calls."""
    for value in params.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(part, ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, Jaxpr):
                yield part
