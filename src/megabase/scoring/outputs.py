"""Predictions and scores in the types of the `alphagenome` package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anndata
import numpy as np
import pandas as pd
from alphagenome.data import genome
from alphagenome.data.junction_data import JunctionData
from alphagenome.data.track_data import TrackData
from alphagenome.models.dna_output import Output
from alphagenome.models.variant_scoring_utils import merge_stranded_gene_tracks
from jaxtyping import Bool, Float32, Int

from megabase.bundles import BUNDLES
from megabase.scoring.annotation import Gene
from megabase.scoring.genes import matching
from megabase.scoring.interface import metadata_of
from megabase.scoring.prediction import Predicted
from megabase.scoring.scorers import Score

_GENE_COLUMNS = ("gene_id", "gene_name", "gene_type", "strand")


def output_of(
    predicted: Predicted,
    tables: Mapping[str, pd.DataFrame],
    kept: Mapping[str, Bool[np.ndarray, " T"]],
    interval: genome.Interval | None,
) -> Output:
    """The predictions for one sequence, of the `kept` tracks, in the order of the forward strand."""
    made: dict[str, TrackData | JunctionData] = {}
    for bundle, values in predicted.tracks.items():
        metadata = metadata_of(bundle, tables[bundle])[kept[bundle]].reset_index(drop=True)
        resolution = min(BUNDLES[bundle].resolutions)
        chosen = np.ascontiguousarray(values[..., kept[bundle]])
        made[bundle.lower()] = TrackData(chosen, metadata, resolution=resolution, interval=interval)
    if predicted.junctions is not None and predicted.positions is not None:
        own = kept["SPLICE_JUNCTIONS"]
        metadata = metadata_of("SPLICE_JUNCTIONS", tables["SPLICE_JUNCTIONS"]).drop(columns="strand")
        metadata = metadata[own].reset_index(drop=True)
        made["splice_junctions"] = junction_data(predicted.junctions, predicted.positions, own, metadata, interval)
    return Output(**made)


def junction_data(
    values: Float32[np.ndarray, "K K 2*T"],
    positions: Int[np.ndarray, "4 K"],
    kept: Bool[np.ndarray, " T"],
    metadata: pd.DataFrame,
    interval: genome.Interval | None,
) -> JunctionData:
    """All introns from a donor to an acceptor further on, with the reads of the `kept` tissues; from the start of the
    sequence where there is no interval."""
    chromosome, start = (interval.chromosome, interval.start) if interval else ("", 0)
    introns: list[genome.Junction] = []
    reads = []
    for half, strand in enumerate("+-"):
        donors, acceptors = positions[2 * half : 2 * half + 2]
        i, j = np.nonzero((donors[:, None] >= 0) & (acceptors[None] >= 0))
        first, second = (donors[i], acceptors[j]) if strand == "+" else (acceptors[j], donors[i])
        i, j, first, second = (x[second > first + 1] for x in (i, j, first, second))
        places = zip((first + 1 + start).tolist(), (second + start).tolist(), strict=True)
        introns += [genome.Junction(chromosome, left, right, strand) for left, right in places]
        tissues = np.flatnonzero(kept) + half * len(kept)
        reads.append(values[i[:, None], j[:, None], tissues])
    named = np.empty(len(introns), object)
    named[:] = introns
    return JunctionData(named, np.concatenate(reads).astype(np.float32), metadata, interval=interval)


def scores_of(
    bundle: str,
    table: pd.DataFrame | None,
    scores: Sequence[Score],
    of_genes: bool,
    about: Mapping[str, Any],
    merged: bool,
    quantiles: Sequence[Float32[np.ndarray, " T"]] | None = None,
) -> anndata.AnnData:
    """One scorer's scores: genes or junctions (or one row) by tracks, NaN for tracks of the other strand than a gene's.

    `table`: None where there are no tracks. `about`: interval, scorer and variant. `merged`: the tracks of both strands
    become one, of the gene's strand. `quantiles`: of each row of scores.
    """
    if table is None:
        var = pd.DataFrame({"name": pd.Series(dtype=object), "strand": pd.Series(dtype=object)})
        shape = (0 if of_genes else 1, 0)
        return anndata.AnnData(np.zeros(shape, np.float32), _observed([], of_genes), var, uns=dict(about))
    var = metadata_of(bundle, table)
    rows = [[value for _, _, value, _ in scores], *([] if quantiles is None else [quantiles])]
    layers = [np.array(values, np.float32).reshape(-1, len(var)) for values in rows]
    if of_genes and bundle != "SPLICE_JUNCTIONS":
        other = ~matching([score.gene.strand for score in scores if score.gene], var["strand"].to_numpy(str))
        layers = [np.where(other, np.float32("nan"), values) for values in layers]
    made = anndata.AnnData(layers[0], _observed(scores, of_genes), var, uns=dict(about))
    if quantiles is not None:
        made.layers["quantiles"] = layers[1]
    names = [var.loc[var["strand"] == strand, "name"].tolist() for strand in "+-"]
    return merge_stranded_gene_tracks(made) if merged and of_genes and names[0] == names[1] else made


def _observed(scores: Sequence[Score], of_genes: bool) -> pd.DataFrame:
    """Rows: genes, with junctions where there are some; one without columns for a scorer of neither."""
    if not of_genes:
        return pd.DataFrame(index=["0"])
    genes = [score.gene or Gene("", 0, 0, ".", "") for score in scores]
    made = pd.DataFrame(
        [(g.id, g.name or g.id, g.kind, g.strand) for g in genes], columns=list(_GENE_COLUMNS), dtype=object
    )
    if any(score.junction for score in scores):
        made["junction_Start"], made["junction_End"] = zip(*(score.junction or (0, 0) for score in scores), strict=True)
    made.index = made.index.astype(str)
    return made
