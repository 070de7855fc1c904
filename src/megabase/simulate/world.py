"""Writes the whole world: genomes, annotations, every source file, the portals' catalogue, and the truth behind it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from megabase.simulate import contacts, files
from megabase.simulate.assays import ASSAYS, sizes
from megabase.simulate.catalog import Entry, write_catalogue
from megabase.simulate.config import WorldConfig
from megabase.simulate.entries import entry_of, recount_entry, reference_entries
from megabase.simulate.experiments import Experiment, assembly, known, read_experiments
from megabase.simulate.genome import Chromosome
from megabase.simulate.grammar import CURIES
from megabase.simulate.homology import build_genomes
from megabase.simulate.recount import project_files, write_project
from megabase.simulate.splicing import junction_rates, site_usage
from megabase.simulate.variants import measured, plan_variants, write_vcf

logger = logging.getLogger(__name__)
_JUNCTION = ["chrom", "start", "end", "strand", "curie", "value"]
_SITE = ["chrom", "position", "strand", "kind"]


def write_world(config: WorldConfig, root: Path) -> None:
    """Writes everything under `root`, for each organism: `{organism}/truth`, `{organism}/variants.vcf`, and below
    `portals/files` its references and the source files of its experiments table; at last `portals/catalog.json`, which
    lists what the portals serve. Each file appears whole or not at all; writing again gives the same bytes.

    Raises InputError for what the world cannot draw, before anything is written.
    """
    experiments = {name: _checked(genome.experiments, name) for name, genome in config.organisms.items()}
    entries: list[Entry] = []
    for organism, chromosomes in build_genomes(config).items():
        listed, served = experiments[organism], root / "portals" / "files"
        logger.info("%s: %d files, %d genes", organism, len(listed), sum(len(one.genes) for one in chromosomes))
        _write_references(served, organism, chromosomes)
        _write_sources(served, chromosomes, listed, config)
        entries += reference_entries(organism) + _source_entries(listed)
        used = [one for one in listed if not one.decoy]
        _write_truth(root / organism / "truth", chromosomes, used, config)
        biosamples = dict.fromkeys(one.biosample for one in used)
        conditions = measured((one.bundle, one.biosample, one.target) for one in used)
        variants = plan_variants(organism, chromosomes, biosamples, config, conditions)
        curies = {name: CURIES[name] for name in biosamples}
        write_vcf(root / organism / "variants.vcf", variants, sizes(chromosomes), curies, assembly(organism))
    write_catalogue(root, entries)


def _checked(table: str, organism: str) -> list[Experiment]:
    """The experiments of a table, once it is sure that the world has them."""
    listed = read_experiments(table, organism)
    for one in listed:
        known("bundle", one.bundle, ASSAYS, one.where)
        assay = ASSAYS[one.bundle]
        known("assay", one.assay, assay.titles, one.where)
        known("target", one.target, assay.targets, one.where)
        known("format", one.format, (assay.format,), one.where)
        known("strand", one.strand, assay.tracks, one.where)
    return listed


def _projects(listed: Iterable[Experiment]) -> list[list[Experiment]]:
    """The samples of each recount3 project."""
    projects: dict[str, list[Experiment]] = {}
    for one in listed:
        if one.portal == "recount3":
            projects.setdefault(one.dataset, []).append(one)
    return list(projects.values())


def _source_entries(listed: list[Experiment]) -> list[Entry]:
    """The entries of all source files of an organism."""
    named = [item for samples in _projects(listed) for item in project_files(samples).items()]
    entries = [entry_of(one) for one in listed if one.portal != "recount3"]
    return entries + [recount_entry(name, kind, one) for name, (kind, one) in named]


def _write_references(served: Path, organism: str, chromosomes: list[Chromosome]) -> None:
    writers = {"fasta": files.write_fasta, "annotation": files.write_gtf, "polya": files.write_polya}
    for entry in reference_entries(organism):
        writers[entry["kind"]](served / entry["path"], chromosomes)


def _write_sources(served: Path, chromosomes: list[Chromosome], listed: list[Experiment], config: WorldConfig) -> None:
    for one in listed:
        if one.portal != "recount3":
            ASSAYS[one.bundle].write(served / entry_of(one)["path"], chromosomes, one, config)
    for samples in _projects(listed):
        folder = served / "recount3" / samples[0].organism / samples[0].dataset
        write_project(folder, chromosomes, samples, config)


def _write_truth(truth: Path, chromosomes: list[Chromosome], used: list[Experiment], config: WorldConfig) -> None:
    """The true rates of every track, by file, and of splicing, in tables."""
    tracks: dict[tuple[str, str], tuple[Experiment, str]] = {}
    for one in used:
        if one.bundle != "SPLICE_JUNCTIONS":
            for strand in ASSAYS[one.bundle].tracks[one.strand]:
                tracks.setdefault((one.bundle, one.track_id(strand)), (one, strand))
    for (bundle, track_id), (one, strand) in tracks.items():
        rates = {chromosome.name: ASSAYS[bundle].truth(chromosome, one, strand) for chromosome in chromosomes}
        other = {"bin": contacts.BIN} if bundle == "CONTACT_MAPS" else {}
        files.write_truth(truth / bundle / f"{track_id}.npz", rates, **other)
    conditions = [one for one in used if one.bundle == "SPLICE_JUNCTIONS" or one.portal == "recount3"]
    if conditions:
        _write_splicing(truth, chromosomes, dict.fromkeys(one.biosample for one in conditions), config)


def _write_splicing(truth: Path, chromosomes: list[Chromosome], biosamples: Iterable[str], config: WorldConfig) -> None:
    junctions, usage = [], []
    for biosample in biosamples:
        for chromosome in chromosomes:
            place = {"chrom": chromosome.name, "curie": CURIES[biosample]}
            junctions.append(junction_rates(chromosome, biosample).assign(**place))
            usage.append(site_usage(chromosome, biosample).assign(**place))
    table = _joined(junctions)
    table["value"] *= config.junction_reads
    table = table.groupby(_JUNCTION[:-1], as_index=False)[["value"]].sum()
    files.write_table(truth / "SPLICE_JUNCTIONS.parquet", table[_JUNCTION])
    sites = pd.concat([_sites(table, "donor"), _sites(table, "acceptor")])
    sites = sites.groupby(_SITE, as_index=False)[["value"]].sum().rename(columns={"value": "score"})
    files.write_table(truth / "SPLICE_SITES.parquet", sites)
    used = _joined(usage)[[*_SITE, "curie", "value"]].sort_values([*_SITE, "curie"])
    files.write_table(truth / "SPLICE_SITE_USAGE.parquet", used.reset_index(drop=True))


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows; tables without any have no types to agree with."""
    return pd.concat([table for table in tables if len(table)] or tables, ignore_index=True).astype({"value": float})


def _sites(junctions: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The exonic base beside one end of each intron: the donor of the plus strand is to its left."""
    left = (junctions["strand"] == "+") == (kind == "donor")
    position = junctions["end"].where(~left, junctions["start"] - 1)
    return junctions.assign(position=position, kind=kind)
