"""The training recipe: the paper's values are the defaults (paper reference section 5)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from megabase.settings import settings


@settings
class TrainingConfig:
    """Everything that decides the weights, given data and model; logging and checkpoints are apart, in `LoopConfig`."""

    steps: Annotated[int, Field(ge=1)] = 15_000
    """Updates."""
    batch: Annotated[int, Field(ge=1)] = 64
    """Windows per update."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.004
    """Peak of the schedule: linear warm-up, then cosine to zero."""
    warmup: Annotated[int, Field(ge=0)] = 5_000
    """Updates of linear warm-up."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.4
    """AdamW's decay, scaled by the learning rate; on weight matrices only (the paper does not say which)."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Largest global gradient norm, or nothing (the paper names none)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Dropout at the paper's sites."""
    reverse_complement: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability that a window is reverse-complemented."""
    organism_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Relative share of windows drawn from each organism; empty: in proportion to its number of training windows
    (the paper does not say)."""
    head_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Weight of a head's loss, by head name; 1 where not given (the paper's plain sum, junctions 0.2)."""
    gene_weight: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the gene-level loss of RNA-seq (paper; the released code has 0)."""
    multinomial_window: Annotated[int, Field(ge=128, multiple_of=128)] = 131_072
    """Segment of the multinomial loss, in bp; the whole window where that is shorter."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of initialisation, data order and dropout."""


@settings
class LoopConfig:
    """How the loop runs; nothing here changes the weights."""

    checkpoint_seconds: Annotated[float, Field(gt=0)] = 600.0
    """A checkpoint is written when this much time has passed since the last."""
    checkpoint_steps: Annotated[int, Field(ge=1)] = 1_000
    """... or this many updates."""
    keep: Annotated[int, Field(ge=1)] = 2
    """Checkpoints kept."""
    log_steps: Annotated[int, Field(ge=1)] = 50
    """Updates between lines of metrics.jsonl and of progress."""
    prefetch: Annotated[int, Field(ge=0)] = 4
    """Batches prepared ahead by a thread."""
    compilation_cache: str | None = ".cache/jax"
    """Folder that compiled programs are kept in between runs, or nothing."""


@settings
class TrainedModel:
    """One model to train: which organisms, which fold, and what differs from the shared recipe."""

    organisms: Annotated[list[str], Field(min_length=1)]
    """Organisms it is trained on."""
    fold: Annotated[int, Field(ge=0)]
    """Position in each organism's `folds`."""
    training: dict[str, int | float | str | dict[str, float]] = Field(default_factory=dict)
    """Keys of `training` with values of this model's own (a seed, fewer steps)."""
