"""Every track of the test windows: predicted by the model, by simple baselines and, where it is known, by the truth.

Paper, Methods, evaluation of genome tracks: predictions of a model on the windows of its own test split, correlated
with what was observed over all usable positions of all windows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from megabase.artifacts import atomic_path, write_text
from megabase.errors import InputError
from megabase.evaluation.benchmarks.measures import MEASURE_COLUMNS
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.held_out import PROFILE_COLUMNS, HeldOut
from megabase.evaluation.leakage import check_fold, held_out_share
from megabase.evaluation.profiles import StartProfiles
from megabase.genome.reference import Reference
from megabase.scoring.predict import Predictor
from megabase.store.reader import Shards

TRACK_COLUMNS = [*PROFILE_COLUMNS[:5], "resolution", "split", *PROFILE_COLUMNS[5:8], "lower", "upper", "n", "command"]
ALL = "ALL"
"""Output type of the row that says which share of the test windows was held out."""


def evaluate(
    model: Path,
    shards: Mapping[str, Mapping[str, Path]],
    references: Mapping[str, Path],
    truths: Mapping[str, Path | None],
    out: Path,
    config: EvaluationConfig,
    command: str,
    *,
    pieces: int = 1,
    name: str | None = None,
) -> None:
    """Scores the exported model in `model` on the test windows of each organism and writes, under `out`,

    - `tracks.tsv`: `TRACK_COLUMNS`, one row per track, resolution, predictor and metric. Metrics are `pearson`,
      `log1p_pearson` (of log(1 + x), negative predictions as 0; not for contact maps, which are logarithms), `mse` and
      `mae`, pooled over the usable positions of all windows, and `gene_pearson` of expression
      (`megabase.evaluation.genes`); those of splicing are described in `megabase.evaluation.splicing`. All have 95 %
      intervals from resampled windows; `n` is the number of positions and `command` how to make the table again.
      Contact maps leave their diagonal out. One row of `ALL` is the `held_out_share`, by windows, which is 1.
      Predictors are `model`, `track_mean` (the training mean: a constant, whose correlation is 0 by convention),
      `local_gc` and `ridge` (base composition; fitted at 128 bp, spread evenly over the bases for 1 bp; contact maps:
      GC content of both bins and their distance), `distance` (contact maps, junctions), `gt_ag` (splice sites: the
      dinucleotide alone) and `oracle` (the truth of a simulated world; signal is scaled to the training windows);
    - `measures.tsv`: `MEASURE_COLUMNS`, means over tracks and the metrics that no single track has, which benchmarks
      are read from;
    - `profiles.tsv`, `profiles.npz`: mean profiles around gene starts in 16-bp bins, and their correlation;
    - `loci.npz`: observed and predicted values of a few windows (`megabase.report.loci` reads it).

    The model has the tracks of its own biosamples alone, and `name` in the tables if not that of its folder. With
    `pieces` it reads every window in so many equal pieces; junctions and contacts are then those within pieces.

    Raises InputError where the model was trained on the whole genome, on another fold or on other tracks, where a test
    window overlaps a training window, and where there are no test windows.
    """
    description = json.loads((model / "model.json").read_text())
    check_fold(description, model)
    predictor = Predictor.load(model)
    rows: list[pd.DataFrame] = []
    measures: list[pd.DataFrame] = []
    profile_rows: list[pd.DataFrame] = []
    profiles: dict[str, Any] = {}
    loci: dict[str, Any] = {}
    for organism, splits in shards.items():
        train, test = Shards.open(splits["train"]), Shards.open(splits["test"])
        if not len(test.windows):
            raise InputError("no test windows", where=splits["test"], remedy="widen organisms.*.folds.*.test")
        share = held_out_share(description, train, test, organism, model)
        named = {"model": name or model.name, "organism": organism}
        held = {"output_type": ALL, "track": "test windows", "strand": ".", "resolution": test.window_length}
        held |= {"predictor": "model", "metric": "held_out_share", "value": share, "n": len(test.windows)}
        train, test = (_as_read(shards, description, pieces) for shards in (train, test))
        reference = Reference.open(references[organism])
        starts = StartProfiles(reference.genes(), test.windows, config.start_flank)
        truth = truths.get(organism)
        scored = HeldOut(organism, train, test, predictor, truth, starts, reference.exons(), reference.polya(), config)
        scored.fit()
        scored.score()
        table = pd.concat([scored.table(), pd.DataFrame([held])])
        rows.append(table.assign(**named, split="test", command=command))
        measures.append(scored.measures().assign(**named, split="test", command=command))
        profile_rows.append(scored.profile_table().assign(**named))
        profiles |= {f"{organism}/offsets": starts.bin_starts}
        profiles |= {f"{organism}/{bundle}/{name}": starts.mean(bundle, name) for bundle, name in starts.predictors()}
        loci |= scored.loci
    _write(out, pd.concat(rows)[TRACK_COLUMNS], pd.concat(profile_rows)[PROFILE_COLUMNS], profiles, loci)
    write_text(
        out / "measures.tsv",
        pd.concat(measures)[MEASURE_COLUMNS].to_csv(sep="\t", index=False, float_format="%.6g"),
    )


def _as_read(shards: Shards, description: Mapping[str, Any], pieces: int) -> Shards:
    """The windows as a model reads them."""
    biosamples = description.get("biosamples")
    own = shards.of_biosamples(**biosamples) if biosamples else shards
    return own.cut(pieces) if pieces > 1 else own


def _write(out: Path, rows: pd.DataFrame, profile_rows: pd.DataFrame, profiles: dict, loci: dict) -> None:
    for name, arrays in (("profiles.npz", profiles), ("loci.npz", loci)):
        with atomic_path(out / name) as partial:
            np.savez_compressed(partial, **arrays)
    for name, table in (("profiles.tsv", profile_rows), ("tracks.tsv", rows)):
        write_text(out / name, table.to_csv(sep="\t", index=False, float_format="%.6g"))
