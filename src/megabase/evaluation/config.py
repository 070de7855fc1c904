"""How held-out predictions are judged."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from megabase.settings import settings


@settings
class EvaluationConfig:
    """Metrics and simple baselines on the test windows."""

    reverse_complement: bool = True
    """Average each prediction with that of the reverse complement."""
    baseline_windows: list[Annotated[int, Field(ge=128, multiple_of=128)]] = Field(
        default_factory=lambda: [128, 512, 2048]
    )
    """Widths, in bp, of the local GC and dinucleotide content that the ridge baselines read."""
    ridge_penalty: Annotated[float, Field(gt=0)] = 1.0
    """L2 penalty of the ridge baselines on standardised features."""
    fit_windows: Annotated[int, Field(ge=1)] = 256
    """Training windows that the baselines are fitted on, at most; taken evenly from those that do not overlap."""
    start_flank: Annotated[int, Field(ge=128, multiple_of=128)] = 1024
    """Half-width of the mean profile around annotated gene starts, in bp."""
    bootstrap: Annotated[int, Field(ge=0)] = 200
    """Resamples of the test windows behind each confidence interval."""
    variant_bootstrap: Annotated[int, Field(ge=0)] = 1000
    """Resamples of the variants behind each confidence interval."""


@settings
class BenchmarksConfig:
    """The paper's evaluations (docs/benchmarks.md): where their variants are, and who else scored them."""

    sets: dict[str, str] = Field(default_factory=dict)
    """Sets of variants, Parquet by name: those of `resources/benchmarks.tsv`, `tal1`, or your own."""
    predictions: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Score tables of other predictors: by set, then by predictor; `SpliceAI` and `Pangolin` may be annotated VCFs."""
    resamples: Annotated[int, Field(ge=0)] = 200
    """Resamples of the variants behind each confidence interval."""


@settings
class ReportConfig:
    """What the report shows."""

    loci: Annotated[int, Field(ge=1)] = 3
    """Held-out windows shown observed against predicted, per organism."""
    tracks_per_locus: Annotated[int, Field(ge=1)] = 12
    """Tracks shown at each locus, at most."""
