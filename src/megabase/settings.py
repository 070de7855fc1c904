"""How a config dataclass is declared: frozen, every key typed, unknown keys refused, docs beside each key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

import pydantic
import pydantic.dataclasses

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(cls: type[T]) -> type[T]:
    """A frozen, keyword-only dataclass that checks its values; the string under a field is its documentation."""
    rules = pydantic.ConfigDict(extra="forbid", use_attribute_docstrings=True)
    decorate: Callable[[type[T]], Any] = pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=rules)
    return decorate(cls)
