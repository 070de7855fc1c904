"""`megabase ism`: what every single base of a region does, as a table and as a matrix for logos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from megabase.artifacts import atomic_path
from megabase.commands.score import described_organism
from megabase.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def ism(
    weights: Path,
    reference: Path | None,
    region: str,
    out: Path,
    organism: str | None = None,
    scorers: Sequence[str] = (),
    batch: int = 1,
    window: int | None = None,
    single_strand: bool = False,
) -> Path:
    """Scores every change of one base in `region` (chrom:start-end, 0-based half-open) and writes `out`; gives it back.

    One row for each base of the region, scorer, gene or junction where there is one, and track, with the score of each
    alternative (NaN for the base itself) and `contribution`: of the base itself, minus the mean of the alternatives
    (paper section 7). `scorers`: names of recommended ones, `ATAC` and `DNASE` if empty. `window`: length in bp of the
    sequence around the region; that of training if None.
    Raises InputError for weights, a reference, an organism, a region or scorers that lead nowhere.
    """
    from alphagenome.data import genome
    from alphagenome.models.variant_scorers import RECOMMENDED_VARIANT_SCORERS, tidy_scores

    from megabase.genome.reference import Reference
    from megabase.genome.regions import parse_region
    from megabase.scoring.dna_model import load
    from megabase.scoring.references import found_reference

    name, assembly = described_organism(weights, organism)
    folder = reference or found_reference(weights, name, assembly)
    place = parse_region(region, Reference.open(folder).sizes, where="--region")
    names = list(scorers) or ["ATAC", "DNASE"]
    if unknown := [scorer for scorer in names if scorer not in RECOMMENDED_VARIANT_SCORERS]:
        remedy = f"choose from {', '.join(RECOMMENDED_VARIANT_SCORERS)}"
        raise InputError(f"no scorer `{unknown[0]}`", where="--scorers", remedy=remedy)
    model = load(weights, {name: folder}, batch=batch, reverse_complement_average=not single_strand)
    part = genome.Interval(*place)
    length = window or int(model.description["window_length"])
    if part.width > length // 2:
        what = f"{region} is more than half of the window of {length:,} bp"
        raise InputError(what, where="--region", remedy="give a shorter region")
    middle = (part.start + part.end) // 2
    interval = genome.Interval(part.chromosome, middle - length // 2, middle - length // 2 + length)
    chosen = [RECOMMENDED_VARIANT_SCORERS[scorer] for scorer in names]
    scored = model.score_ism_variants(interval, part, chosen, organism=model.organism_of(name))
    if not scored:
        raise InputError("only unknown bases there", where="--region", remedy="give another region")
    table = contributions(tidy_scores(scored), {str(scorer): own for own, scorer in zip(names, chosen, strict=True)})
    with atomic_path(out) as partial:
        table.to_parquet(partial, index=False)
    return out


def contributions(tidy: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """From one row for each change to one for each base. `names`: of the scorers, by how the table writes them."""
    import pandas as pd

    found = tidy["variant_id"].map(str).str.extract(r"^(?P<chrom>.+):(?P<position>\d+):(?P<ref>\w)>(?P<alt>\w)$")
    rows = pd.concat([tidy, found], axis=1)
    rows["scorer"] = rows["variant_scorer"].map(names)
    rows["position"] = rows["position"].astype(int)
    genes = ["gene_id", "gene_name", "junction_Start", "junction_End"]
    keys = ["chrom", "position", "ref", "scorer", "output_type", *genes, "track_name", "track_strand"]
    rows[genes] = rows[genes].astype(object).where(rows[genes].notna(), "")
    wide = rows.pivot_table("raw_score", keys, "alt", sort=False).reindex(columns=list("ACGT"))
    wide["contribution"] = -wide[list("ACGT")].mean(axis=1)
    wide = wide.reset_index()
    wide[genes] = wide[genes].astype(str)
    wide.columns.name = None
    return wide
