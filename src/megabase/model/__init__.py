"""The network, from DNA to heads."""

from megabase.model.spec import ModelConfig

__all__ = ["ModelConfig"]
