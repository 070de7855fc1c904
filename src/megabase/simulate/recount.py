"""GTEx as recount3 has it: coverage of each sample, and metadata and junctions of all samples of a tissue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from megabase.simulate import files
from megabase.simulate.assays import coverage, excess, random_numbers, sizes
from megabase.simulate.config import WorldConfig
from megabase.simulate.experiments import Experiment
from megabase.simulate.genome import Chromosome
from megabase.simulate.splicing import junction_rates

NOVEL = 0.05
"""Share of junctions, beside the true ones, that one read of one sample claims."""
_SOURCES = ("recount_project", "recount_qc", "gtex")
"""Sources of metadata."""
_MOTIFS = {"+": ("GT", "AG"), "-": ("CT", "AC")}
_DAY = "2019-12-03T00:00:00.000000"


def project_files(samples: list[Experiment]) -> dict[str, tuple[str, Experiment]]:
    """The files of one tissue by name: kind (coverage, metadata, junctions) and sample, or any one of the samples."""
    first, project = samples[0], samples[0].dataset
    named = {f"gtex.base_sums.{project}_{one.accession}.ALL.bw": ("coverage", one) for one in samples}
    named |= {f"gtex.{source}.{project}.MD.gz": ("metadata", first) for source in _SOURCES}
    return named | {f"gtex.junctions.{project}.ALL.{part}.gz": ("junctions", first) for part in ("MM", "RR", "ID")}


def write_project(folder: Path, chromosomes: list[Chromosome], samples: list[Experiment], config: WorldConfig) -> None:
    """Writes the files of one tissue.

    Samples are drawn anew for junctions: they share their rates with the coverage, not their reads.
    """
    project = samples[0].dataset
    sums: dict[str, float] = {}
    for name, (kind, sample) in project_files(samples).items():
        if kind == "coverage":
            signal = coverage(chromosomes, sample, config)
            sums[sample.accession] = sum(float(values.sum()) for values in signal.values())
            files.write_bigwig(folder / name, signal, sizes(chromosomes), 1)
    for source, table in _metadata(samples, sums).items():
        _write_tsv(folder / f"gtex.{source}.{project}.MD.gz", table)
    ranges, counts = _junctions(chromosomes, samples, config)
    stem = f"gtex.junctions.{project}.ALL"
    _write_tsv(folder / f"{stem}.RR.gz", ranges)
    _write_tsv(folder / f"{stem}.ID.gz", pd.DataFrame({"rail_id": _rail_ids(samples)}))
    columns, rows = np.nonzero(counts.T)
    lines = ["%%MatrixMarket matrix coordinate integer general\n", f"{counts.shape[0]} {counts.shape[1]} {len(rows)}\n"]
    lines += [f"{row + 1} {column + 1} {counts[row, column]}\n" for row, column in zip(rows, columns, strict=True)]
    files.write_gzip(folder / f"{stem}.MM.gz", lines)


def _rail_ids(samples: list[Experiment]) -> list[int]:
    return [200_001 + number for number in range(len(samples))]


def _metadata(samples: list[Experiment], sums: Mapping[str, float]) -> dict[str, pd.DataFrame]:
    """The sources of metadata that say something of these samples."""
    names = [sample.accession for sample in samples]
    subjects = ["-".join(name.split("-")[:2]) for name in names]
    project = samples[0].dataset
    ids = pd.DataFrame({"rail_id": _rail_ids(samples), "external_id": names, "study": project})
    frozen = [sample.status for sample in samples]
    reads = [round(sums[name] / 75) for name in names]
    whole = [round(sums[name]) for name in names]
    quality = {
        "bc_auc.all_reads_all_bases": whole,
        "bc_auc.unique_reads_all_bases": whole,
        "star.average_input_read_length": 75,
        "star.uniquely_mapped_reads_number": reads,
    }
    return {
        "recount_project": ids.assign(
            project=project, organism="Homo sapiens", file_source="gtex", date_processed=_DAY
        ),
        "recount_qc": pd.concat([ids, pd.DataFrame(quality)], axis=1),
        "gtex": ids.assign(
            SAMPID=[name.rsplit(".", 1)[0] for name in names],
            SUBJID=subjects,
            SMTS="Liver",
            SMTSD="Liver",
            SMUBRID="0002107",
            SMAFRZE=frozen,
        ),
    }


def _junctions(
    chromosomes: list[Chromosome], samples: list[Experiment], config: WorldConfig
) -> tuple[pd.DataFrame, np.ndarray]:
    """Ranges (1-based, both ends included) and counts by sample of the junctions that any read has."""
    tables, counts = [], []
    for chromosome in chromosomes:
        drawn = {one.rates_of: junction_rates(chromosome, one.rates_of) for one in samples}
        union = pd.concat(drawn.values())[["start", "end", "strand"]].drop_duplicates()
        rng = random_numbers(config, samples[0], "novel", chromosome.name)
        novel = round(NOVEL * len(union))
        start = rng.integers(0, len(chromosome) - 2000, novel)
        strand = rng.choice(["+", "-"], novel)
        false = pd.DataFrame({"start": start, "end": start + rng.integers(60, 2000, novel), "strand": strand})
        both = pd.concat([union.assign(annotated=1), false.assign(annotated=0)], ignore_index=True)
        both = both.assign(chromosome=chromosome.name)
        columns = []
        for sample in samples:
            table = both.merge(drawn[sample.rates_of], how="left", on=["start", "end", "strand"])
            rate = config.junction_reads * table["value"].astype(np.float64).fillna(0.0).to_numpy()
            noise = random_numbers(config, sample, "junctions", chromosome.name)
            columns.append(noise.poisson(rate * excess(len(rate), config, noise)))
        matrix = np.stack(columns, axis=1)
        if novel:
            matrix[len(union) + np.arange(novel), rng.integers(0, len(samples), novel)] = 1
        tables.append(both)
        counts.append(matrix)
    table, matrix = pd.concat(tables, ignore_index=True), np.concatenate(counts)
    rank = {chromosome.name: number for number, chromosome in enumerate(chromosomes)}
    table = table.assign(rank=table["chromosome"].map(rank)).sort_values(["rank", "start", "end", "strand"])
    matrix = matrix[table.index]
    seen = matrix.sum(axis=1) > 0
    table, matrix = table[seen], matrix[seen]
    left = [_MOTIFS[strand][0] for strand in table["strand"]]
    right = [_MOTIFS[strand][1] for strand in table["strand"]]
    ranges = pd.DataFrame(
        {
            "chromosome": table["chromosome"],
            "start": table["start"] + 1,
            "end": table["end"],
            "length": table["end"] - table["start"],
            "strand": table["strand"],
            "annotated": table["annotated"],
            "left_motif": left,
            "right_motif": right,
            "left_annotated": table["annotated"],
            "right_annotated": table["annotated"],
        }
    )
    return ranges, matrix


def _write_tsv(path: Path, table: pd.DataFrame) -> None:
    files.write_gzip(path, [table.to_csv(sep="\t", index=False, lineterminator="\n")])
