"""Writes the whole world: genome, annotation, every source file of the table, and the truth behind each track."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from pathlib import Path

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.portals.sources import Track, read_sources, tracks_of
from megabase.simulate.assays import ASSAYS, Experiment, generator, write_control
from megabase.simulate.config import WorldConfig
from megabase.simulate.files import write_fasta, write_gtf, write_truth
from megabase.simulate.genome import Chromosome, lay_out
from megabase.simulate.grammar import BIOSAMPLES

logger = logging.getLogger(__name__)


def build_genome(config: WorldConfig) -> list[Chromosome]:
    """The chromosomes of the world with their elements and genes, in order of the config."""
    return [lay_out(name, size, config, generator(config, name)) for name, size in config.chromosomes.items()]


def write_world(config: WorldConfig, sources: Path, root: Path) -> None:
    """Writes everything under `root`: genome.fa, genes.gtf, the files that the source table names (relative to `root`),
    and truth/{bundle}/{track_id}.npz. Each file appears whole or not at all; writing again gives the same bytes.

    Raises InputError for what the world cannot draw, before anything is written.
    """
    listed = read_sources(sources, root)
    tracks = [(track, _experiment(track)) for bundle in BUNDLES for track in tracks_of(listed, bundle)]
    files, controls = _files(tracks)

    chromosomes = build_genome(config)
    genes, elements = sum(len(one.genes) for one in chromosomes), sum(len(one.elements.kind) for one in chromosomes)
    logger.info("%d chromosomes with %d genes and %d elements", len(chromosomes), genes, elements)
    write_fasta(root / "genome.fa", chromosomes)
    write_gtf(root / "genes.gtf", chromosomes)
    for name, (experiment, controlled) in files.items():
        logger.info("drawing %s", name)
        ASSAYS[experiment.bundle].write(root / name, chromosomes, experiment, config, controlled)
    for name, biosample in controls.items():
        write_control(root / name, chromosomes, biosample, config)
    for track, experiment in tracks:
        truth = {one.name: ASSAYS[track.bundle].truth(one, experiment) for one in chromosomes}
        write_truth(root / "truth" / track.bundle / f"{track.track_id}.npz", truth)


def _experiment(track: Track) -> Experiment:
    """What a track measures, once it is sure that the world has it."""
    first = track.files[0]
    where = first.where
    assay = ASSAYS.get(track.bundle)
    if assay is None:
        raise InputError(
            f"the simulated world has no {track.bundle}", where=where, remedy=f"choose from {', '.join(ASSAYS)}"
        )
    _known("biosample", first.biosample, BIOSAMPLES, where)
    _known("assay", first.assay, assay.titles, where)
    _known("target", first.target, assay.targets or ("",), where)
    _known("strand", track.strand, assay.strands, where)
    for file in track.files:
        _known("format", file.format, (assay.format,), file.where)
        _known("reading", file.reading, (assay.reading,), file.where)
    return Experiment(track.bundle, first.biosample, first.assay, first.target, track.strand)


def _known(column: str, value: str, known: Iterable[str], where: str) -> None:
    if value not in known:
        choices = ", ".join(one or "nothing" for one in known)
        raise InputError(
            f"the simulated world has no {column} `{value}` here", where=where, remedy=f"choose from {choices}"
        )


def _files(
    tracks: list[tuple[Track, Experiment]],
) -> tuple[dict[str, tuple[Experiment, bool]], dict[str, str]]:
    """Each source file once, with its experiment and whether it has a control; each control, with its biosample."""
    files: dict[str, tuple[Experiment, bool]] = {}
    controls: dict[str, str] = {}
    for track, experiment in tracks:
        for source in track.files:
            where = source.where
            drawn = (_both_strands(experiment), bool(source.control))
            if files.setdefault(source.file, drawn) != drawn:
                raise InputError(
                    f"{source.file} is the file of another experiment too", where=where, remedy="name one of them anew"
                )
            if source.control and controls.setdefault(source.control, experiment.biosample) != experiment.biosample:
                raise InputError(
                    f"{source.control} is the control of another biosample too", where=where, remedy="give each its own"
                )
    for track, _ in tracks:
        for source in track.files:
            if (source.pair and source.pair not in files) or source.control in files:
                raise InputError(
                    f"pair `{source.pair}` must be, and control `{source.control}` must not be, a file of a track",
                    where=source.where,
                    remedy="correct the file names",
                )
    return files, controls


def _both_strands(experiment: Experiment) -> Experiment:
    """The experiment as its file has it: CTSS files hold both strands."""
    return dataclasses.replace(experiment, strand=".") if experiment.bundle == "CAGE" else experiment
