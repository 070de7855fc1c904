"""`megabase attribute`: which elements regulate which genes, by what a gene's expression hangs on."""

from __future__ import annotations

from pathlib import Path

from megabase.artifacts import atomic_path
from megabase.commands.score import described_organism
from megabase.commands.tracks import matches
from megabase.errors import InputError


def attribute(
    pairs: Path,
    weights: Path,
    out: Path,
    reference: Path | None = None,
    organism: str | None = None,
    tracks: str = "",
    window: int | None = None,
    single_strand: bool = False,
) -> Path:
    """Scores the elements and genes of `pairs` with the model in the folder `weights` and writes `out`; gives it back.

    All columns of the pairs, and `score`; empty where there is none, and why in `{out}.skipped.tsv`. `tracks`: words
    that an RNA_SEQ track must have, such as `K562`; all if empty. `window`: length in bp of the sequence around a gene;
    that of training if None. Raises InputError for pairs, weights, tracks or a reference that lead nowhere.
    """
    import pandas as pd

    from megabase.genome.reference import Reference
    from megabase.model.weights import load
    from megabase.scoring.annotation import Annotation
    from megabase.scoring.attribution import Gradients, linked, read_pairs
    from megabase.scoring.engine import check_length
    from megabase.scoring.forward import Forward
    from megabase.scoring.reading import BOTH
    from megabase.scoring.references import found_reference
    from megabase.scoring.variants import check_assembly, organism_tables

    table, wanted = read_pairs(pairs)
    name, assembly = described_organism(weights, organism)
    folder = reference or found_reference(weights, name, assembly)
    opened = Reference.open(folder)
    network, description = load(weights)
    check_assembly(description, name, opened, folder)
    tables = organism_tables(description, name, weights)
    rna = tables.get("RNA_SEQ", pd.DataFrame()).astype(str)
    chosen = [i for i, row in enumerate(rna.to_numpy()) if matches(dict(zip(rna.columns, row, strict=True)), tracks)]
    if not chosen:
        raise InputError(f"no RNA_SEQ track of the model has `{tracks}`", where="--tracks", remedy="leave a word out")
    length = window or int(description["window_length"])
    check_length(length)
    strands = BOTH[:1] if single_strand else BOTH
    gradients = Gradients(Forward(network), description["organisms"][name], tables, chosen, strands)
    found = {pair: own for pair, *own in linked(wanted, gradients, opened, Annotation.open(folder), length)}
    table["score"] = pd.Series([found[pair][0] for pair in wanted], dtype="float32")
    table["reason"] = [found[pair][1] for pair in wanted]
    with atomic_path(out) as partial:
        table.drop(columns="reason").to_parquet(partial, index=False)
    with atomic_path(out.with_name(f"{out.stem}.skipped.tsv")) as partial:
        table[table["score"].isna()].drop(columns="score").to_csv(partial, sep="\t", index=False)
    return out
