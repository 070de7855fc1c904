"""What a config will fetch, compute and store: from the manifest where there is one, else from stated estimates."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from megabase.bundles import BUNDLES
from megabase.config import Config
from megabase.errors import InputError
from megabase.genome.config import GENOMES
from megabase.planning.tables import Estimate, estimates
from megabase.portals.changes import read_files
from megabase.portals.sources import read_sources

_TISSUES_PER_PROJECT = 1.8
"""GTEx's 54 tissues over recount3's 30 projects."""
_WRITTEN_PER_SECOND = 0.4e9
"""Decoded bytes that one core packs into the store (`make bench-store`)."""
_SUM_BYTES = 8
"""Of a base while the files of a track are added up: float64 on disk."""


@dataclasses.dataclass(frozen=True)
class Share:
    """The tracks of one output type that one portal has files for."""

    organism: str
    bundle: str
    portal: str
    """Empty for files that are here already."""
    tracks: int
    files: int
    bytes: int
    """To fetch."""
    known: bool
    """Whether files and bytes are the manifest's, and not estimates."""
    core_seconds: float
    """From files to tracks."""
    store_bytes: float
    largest: float
    """Bytes of the largest file."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What all of it takes before training."""

    shares: list[Share]
    jobs: dict[str, int]
    """By rule."""
    store_core_seconds: float
    genome: int
    """Length in bp of the largest genome."""

    @property
    def bytes(self) -> int:
        """To fetch."""
        return sum(share.bytes for share in self.shares if share.portal)

    @property
    def store_bytes(self) -> float:
        """Of the store; the tracks it is packed from take as much again while they are kept."""
        return sum(share.store_bytes for share in self.shares)

    @property
    def core_seconds(self) -> float:
        """From files to the store."""
        return sum(share.core_seconds for share in self.shares) + self.store_core_seconds

    def peak_disk(self, cores: int) -> float:
        """Bytes at the end of building on so many cores: tracks, store, and what every job has in hand: one file at a
        time, and the sum of a track's files."""
        in_hand = max((share.largest for share in self.shares), default=0.0) + _SUM_BYTES * self.genome
        return 2 * self.store_bytes + min(cores, self.jobs.get("build_signal", 0)) * in_hand


def plan(config: Config) -> Plan:
    """The plan of a config. Raises InputError for an output type that nothing is known or estimated of."""
    shares, store_seconds, lengths = [], 0.0, [0]
    for name, organism in config.organisms.items():
        length = genome_length(config, name)
        lengths.append(length)
        found = _known_files(config, name)
        for bundle, tracks in organism.bundles.items():
            if tracks and (BUNDLES[bundle].kind != "splicing" or bundle == "SPLICE_JUNCTIONS"):
                shares += _shares(config, name, bundle, tracks, found, length)
                stored = 2.0 * tracks * length / max(1, BUNDLES[bundle].store_bin)
                store_seconds += stored / _WRITTEN_PER_SECOND if BUNDLES[bundle].kind == "signal" else 0.0
    return Plan(shares, jobs(config), store_seconds, max(lengths))


def genome_length(config: Config, organism: str) -> int:
    """bp of an organism: of its reference if that is built, of its simulated chromosomes, or of its assembly.

    Raises InputError where none of these is known.
    """
    built = Path(config.data, config.dataset, "reference", organism, "reference.json")
    if built.exists():
        return int(sum(json.loads(built.read_text())["sizes"].values()))
    if config.world and organism in config.world.organisms:
        return sum(config.world.organisms[organism].chromosomes.values())
    assembly = config.organisms[organism].assembly
    if assembly not in GENOMES:
        remedy = "build the reference first: snakemake store --until build_reference"
        raise InputError(f"the length of {assembly} is not known", where=f"organisms.{organism}", remedy=remedy)
    return GENOMES[assembly]


def jobs(config: Config) -> dict[str, int]:
    """Jobs of a complete run by rule, before anything is built; without those of simulated worlds and planted variants,
    which cost nothing to speak of (`snakemake -n` has all)."""
    organisms, models = config.organisms, config.trained
    students = [name for name, model in models.items() if model.teachers]
    teachers = {teacher for student in students for teacher in config.teachers(student)}
    tuned = {name for name, model in models.items() if model.start} - {*students, *teachers}
    spliced = [name for name in organisms if config.blocks(name, junctions=True)]
    signal = sum(len(config.parts(name)) for name in organisms)
    junctions = sum(len(config.parts(name, junctions=True)) for name in organisms)
    released = sum(bool(organism.released) for organism in organisms.values())
    folds = {(organism, model.fold_name) for model in models.values() for organism in model.organisms}
    counted = {
        "build_reference": len(organisms),
        "query_portals": sum(not organism.sources for organism in organisms.values()),
        "pin_part": signal + junctions,
        "assemble_manifest": len(organisms),
        "released_tracks": released,
        "compare_manifest": released,
        "build_signal": signal,
        "check_signal": len(organisms),
        "index_splices": len(spliced),
        "count_junctions": junctions,
        "store_frame": len(organisms),
        "store_block": sum(len(config.blocks(name)) for name in organisms),
        "store_splicing": len(spliced),
        "write_shards": len(folds),
        "train_model": len(models) - len(students) - len(teachers) - len(tuned),
        "train_teacher": len(teachers),
        "distil_student": len(students),
        "finetune_model": len(tuned),
        "evaluate_model": len(config.evaluated),
        "compare_models": bool(config.bases),
        "summarise": 1,
        "write_report": 1,
    }
    return {rule: number for rule, number in counted.items() if number}


def _known_files(config: Config, organism: str) -> list[dict[str, str]]:
    """The files of an organism as its manifest, its pinned answer or its own source table has them; none without."""
    folder = Path(config.data, config.dataset, "manifest")
    for table in (folder / f"{organism}.files.tsv", folder / f"{organism}.sources.tsv"):
        if table.exists():
            return read_files(table)
    own = config.organisms[organism]
    if own.sources is None:
        return []
    rows = [
        dataclasses.asdict(row) | {"path": row.path(row.file)} for row in read_sources(own.sources, own.source_root)
    ]
    for row in rows:
        if not row["bytes"] and Path(row["path"]).is_file():
            row["bytes"] = str(Path(row["path"]).stat().st_size)
    return rows


def _shares(
    config: Config, organism: str, bundle: str, tracks: int, found: list[dict[str, str]], length: int
) -> list[Share]:
    rows = [row for row in found if row["bundle"] == bundle]
    if rows:
        portals = list(dict.fromkeys(row["portal"] for row in rows))
        return [_counted(organism, bundle, [row for row in rows if row["portal"] == name], length) for name in portals]
    made = []
    for portal, own in _divided(config, organism, bundle, tracks).items():
        one = _estimate(bundle, portal)
        files = round(own * one.files_per_track)
        made.append(
            Share(
                organism,
                bundle,
                portal,
                own,
                files,
                bytes=round(files * one.megabytes * 1e6),
                known=False,
                core_seconds=files * one.core_seconds,
                store_bytes=own * one.store_bytes_per_bp * length,
                largest=one.megabytes * 1e6,
            )
        )
    return made


def _counted(organism: str, bundle: str, rows: list[dict[str, str]], length: int) -> Share:
    """What the rows of a manifest say; a file without a size is taken to be as estimated."""
    one = _estimate(bundle, rows[0]["portal"])
    named = {row.get("file") or row["path"]: int(row["bytes"] or one.megabytes * 1e6) for row in rows}
    tracks = len({(row["track"], row["strand"]) for row in rows})
    # Time goes with the file's size, as far as it is one of those that were thought of.
    seconds = sum(one.core_seconds * min(1.0, size / (one.megabytes * 1e6)) for size in named.values())
    stored = tracks * one.store_bytes_per_bp * length
    known = all(row["bytes"] for row in rows)
    sizes = list(named.values())
    portal = rows[0]["portal"]
    return Share(organism, bundle, portal, tracks, len(named), sum(sizes), known, seconds, stored, float(max(sizes)))


def _divided(config: Config, organism: str, bundle: str, tracks: int) -> Mapping[str, int]:
    """How many tracks of an output type each portal will have, before any is asked."""
    asked = [query for query in config.queries.get(organism, ()) if query.bundle == bundle]
    portals: list[str] = list(dict.fromkeys(query.portal for query in asked))
    if not portals:
        return {"": tracks}
    projects = sum(len(query.projects) for query in asked if query.portal == "recount3")
    gtex = min(tracks, round(_TISSUES_PER_PROJECT * projects)) if len(portals) > 1 else tracks
    others = [portal for portal in portals if portal != "recount3"]
    shares = {portal: (tracks - gtex if projects else tracks) // len(others) for portal in others}
    return shares | ({"recount3": gtex} if projects else {})


def _estimate(bundle: str, portal: str) -> Estimate:
    listed = [one for one in estimates() if one.bundle == bundle]
    for one in listed:
        if one.portal == portal:
            return one
    if not listed:
        remedy = "add a row to resources/estimates.tsv"
        raise InputError(f"nothing is known of {bundle} of {portal}", where="resources/estimates.tsv", remedy=remedy)
    return listed[0]
