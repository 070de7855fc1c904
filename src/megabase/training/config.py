"""The training recipe: the paper's values are the defaults (paper reference section 5)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from megabase.settings import settings


@settings
class TrainingConfig:
    """Everything that decides the weights, given data and model; logging and checkpoints are apart, in `LoopConfig`."""

    steps: Annotated[int, Field(ge=1)] = 15_000
    """Updates."""
    batch: Annotated[int, Field(ge=1)] = 64
    """Windows per update."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Equal parts that a batch is computed in, one after another, where it is too much for the devices at once. The
    parts' gradients and statistics are averaged; batch normalisation sees one part at a time."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.004
    """Peak of the schedule: linear warm-up, a constant phase, then cosine to zero."""
    warmup: Annotated[int, Field(ge=0)] = 5_000
    """Updates of linear warm-up."""
    constant: Annotated[int, Field(ge=0)] = 0
    """Updates at the peak, between warm-up and cosine."""
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
    trunk_heads: list[str] | None = None
    """Heads whose losses shape the network below them; the others learn from what it gives (the paper's ablation of
    modalities). Not given: all of them. None of them, `[]`: the network below stays as it is, with its statistics, and
    only heads are trained."""
    gene_weight: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the gene-level loss of RNA-seq (paper; the released code has 0)."""
    gene_slots: Annotated[int, Field(ge=1)] = 32
    """Genes of each strand in a window that the gene-level loss compares, those with the most exonic bases first (the
    paper does not say)."""
    multinomial_window: Annotated[int, Field(ge=128, multiple_of=128)] = 131_072
    """Segment of the multinomial loss, in bp; the whole window where that is shorter."""
    mutation_rate: Annotated[float, Field(ge=0, le=1)] = 0.04
    """Share of a student's input bases that are drawn anew (paper section 6). Only students read mutated windows."""
    structural_variants: Annotated[float, Field(ge=0)] = 1.0
    """Mean number of insertions, deletions and inversions in each input window of a student (paper section 6)."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of initialisation, data order, dropout and mutations."""


DISTILLATION: dict[str, Any] = {
    "steps": 250_000,
    "learning_rate": 0.002,
    "warmup": 5_000,
    "constant": 120_000,
    "weight_decay": 0.04,
    "dropout": 0.1,
}
"""What the paper's distillation does differently from its pretraining (paper reference section 6)."""


@settings
class LoopConfig:
    """How the loop runs; nothing here changes the weights."""

    checkpoint_seconds: Annotated[float, Field(gt=0)] = 600.0
    """A checkpoint is written when this much time has passed since the last."""
    checkpoint_steps: Annotated[int, Field(ge=1)] = 1_000
    """... or this many updates."""
    keep: Annotated[int, Field(ge=1)] = 2
    """Checkpoints kept."""
    retries: Annotated[int, Field(ge=0)] = 1
    """Times that a training job that failed is started again; it goes on from its newest checkpoint. Where a cluster's
    time limit is shorter than the training: as many as it takes."""
    log_steps: Annotated[int, Field(ge=1)] = 50
    """Updates between lines of metrics.jsonl and of progress."""
    sequence: Annotated[int, Field(ge=1)] | None = None
    """Devices that share each window (8 cores in the paper's pretraining, 1 in its distillation). Not given: the batch
    is divided over as many devices as it can be, and those that are left share windows."""
    prefetch: Annotated[int, Field(ge=0)] = 4
    """Batches prepared ahead by a thread."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Processor cores that one training job uses; all if not given. With as many jobs as cores, a core for each is
    faster than all for one after another: most of a narrow model's step does not divide."""
    compilation_cache: str | None = ".cache/jax"
    """Folder that compiled programs are kept in between runs, or nothing. Models that differ in fold, teachers or seed
    alone share one program: the first job compiles it, and the others wait for it."""


@settings
class TrainedModel:
    """One model to train, or several copies of it: which organisms, which fold, from data or from teachers, and what
    differs from the shared recipe."""

    like: str | None = None
    """Entry of `models` whose keys this one has where it says nothing itself."""
    organisms: Annotated[list[str], Field(min_length=1)]
    """Organisms it is trained on."""
    fold: Annotated[int, Field(ge=0)] | Literal["all"]
    """Which fold of each organism is left out for validation and test: a position in its folds. `all`: trained on all
    of them, with nothing left out."""
    copies: Annotated[int, Field(ge=1)] = 1
    """Models trained alike but for their seeds, which count up from `seed`; named `{name}_0`, `{name}_1`, ..."""
    teachers: str | None = None
    """Entry of `models` whose copies teach this one: it learns their predictions for mutated windows, not the data."""
    teacher_count: Annotated[int, Field(ge=1)] | None = None
    """How many of the copies teach, the first ones; all if not given."""
    start: str | None = None
    """Model whose weights this one begins with: an entry of `models` of the same fold, or the folder of a model, ours
    or imported. Heads for other tracks than that model's begin anew."""
    training: dict[str, int | float | str | list[str] | dict[str, float] | None] = Field(default_factory=dict)
    """Keys of `training` with values of this model's own (a seed, fewer steps)."""

    @property
    def fold_name(self) -> str:
        """Name of its folder of shards."""
        return "all_folds" if self.fold == "all" else f"fold_{self.fold}"
