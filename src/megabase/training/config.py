"""The training recipe: the paper's values are the defaults (paper reference section 5)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from megabase.settings import settings
from megabase.training.presets import PresetName


@settings
class TrainingConfig:
    """Everything that decides the weights, given data and model; logging and checkpoints are apart, in `LoopConfig`."""

    steps: Annotated[int, Field(ge=1)] = 15_000
    """Updates."""
    batch: Annotated[int, Field(ge=1)] = 64
    """Windows per update."""
    pieces: Annotated[int, Field(ge=1)] = 1
    """Pieces that each window is cut into, to learn from shorter ones; an update then has as many times more of them
    (paper reference section 9b)."""
    window: Annotated[int, Field(ge=2048, multiple_of=2048)] | None = None
    """Length of a piece in bp; the pieces lie side by side in the middle of the window. Not given: they fill it."""
    central: Annotated[int, Field(ge=2048, multiple_of=2048)] | None = None
    """Only so many bp in the middle of a window count in the loss, or all of it. For models that learn from data."""
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
    adapter_rank: Annotated[int, Field(ge=0)] = 0
    """Rank of the low-rank adapters that are trained in place of the network below the heads: each array of
    `adapter_arrays` is what it was plus a product of two narrow ones, which is added to it in the exported weights.
    The rest of that network stays as it is, with its statistics. 0: no adapters."""
    adapter_alpha: Annotated[float, Field(gt=0)] = 16.0
    """The product is multiplied by this over the rank, so that the learning rate need not follow the rank."""
    adapter_arrays: list[str] = Field(
        default_factory=lambda: [
            "tower.blocks.*.attention.[qkv].w",
            "tower.blocks.*.attention.out.w",
            "tower.blocks.*.mlp.*.w",
        ]
    )
    """Which arrays have adapters, as patterns of their names in `weights.safetensors`, where `*` is one part between
    dots: matrices alone. By default the linear maps of the transformer's blocks."""
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

    @property
    def rows(self) -> int:
        """Sequences of an update: windows, or all their pieces."""
        return self.batch * self.pieces

    @property
    def below(self) -> Literal["trained", "adapted", "kept"]:
        """What becomes of the network below the heads."""
        return "kept" if self.trunk_heads == [] else "adapted" if self.adapter_rank else "trained"

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if self.adapter_rank and self.trunk_heads == []:
            raise ValueError("adapters change the network below the heads, and trunk_heads: [] keeps it")
        return self


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
    """Entry of `models` whose keys this one has where it says nothing itself; results are compared with its."""
    preset: PresetName | None = None
    """Resolutions and recipe for comparison with another model's bins, where this one says nothing itself; the entry
    that it is like goes after."""
    organisms: Annotated[list[str], Field(min_length=1)]
    """Organisms it is trained on."""
    fold: Annotated[int, Field(ge=0)] | Literal["all"]
    """Which fold of each organism is left out for validation and test: a position in its folds. `all`: trained on all
    of them, with nothing left out."""
    copies: Annotated[int, Field(ge=1)] = 1
    """Models trained alike but for their seeds, which count up from `seed`; named `{name}_0`, `{name}_1`, ..."""
    teachers: str | None = None
    """Entry of `models`, of the same fold, whose copies teach this one: it learns their predictions for mutated
    windows, not the data."""
    teacher_count: Annotated[int, Field(ge=1)] | None = None
    """How many of the copies teach, the first ones; all if not given."""
    start: str | None = None
    """Model whose weights this one begins with: an entry of `models` of the same fold, or the folder of a model, ours
    or imported. Heads for other tracks than that model's begin anew."""
    resolutions: dict[str, Annotated[list[int], Field(min_length=1)]] = Field(default_factory=dict)
    """Resolutions of a head, in bp, by head name, where they are not those of its output type: powers of two from 1
    (ChIP: 16) to 128, and one alone for splicing. Coarser targets are sums, of splice sites whatever a bin has."""
    only: list[str] = Field(default_factory=list)
    """Ontology terms of the biosamples whose tracks it has, if not all; tracks that belong to none are left out too."""
    without: list[str] = Field(default_factory=list)
    """Ontology terms of biosamples whose tracks it has not."""
    training: dict[str, int | float | str | list[str] | dict[str, float] | None] = Field(default_factory=dict)
    """Keys of `training` with values of this model's own (a seed, fewer steps)."""

    @property
    def fold_name(self) -> str:
        """Name of its folder of shards."""
        return "all_folds" if self.fold == "all" else f"fold_{self.fold}"
