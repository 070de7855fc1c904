"""One job: the conditions of one block of junctions, each skipped where nothing it is made of has changed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from megabase.artifacts import atomic_path, digest, write_json
from megabase.artifacts.tables import table_content
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.genome.reference import Reference
from megabase.portals.manifest import read_table
from megabase.portals.sources import METADATA
from megabase.signal.coverage import Place
from megabase.signal.files import Opened, Row, local_file, sources
from megabase.signal.splicing import STAGE_VERSION
from megabase.signal.splicing.align import RECORD, align
from megabase.signal.splicing.config import SplicingConfig
from megabase.signal.splicing.gtex import GtexTable
from megabase.signal.splicing.junctions import PLACE, scaled_mean, side_by_side, star_junctions, stranded
from megabase.signal.splicing.reads import count_reads
from megabase.signal.splicing.recount3 import JunctionTable
from megabase.signal.splicing.usage import SITE, boundaries, mean_usage, site_usage

logger = logging.getLogger(__name__)

READS, TABLES, GTEX_TABLE = "STAR", "recount3", "GTEx"
"""What usage is counted from (`ssu_source`): aligned reads, or junction tables alone."""
ALIGNED_ELSEWHERE = "alignments"
"""The same where `splicing.star` is `skip`: reads as their file has aligned them."""
_READINGS = ("junction_counts", "junction_ranges", "junction_samples")
_TABLE = "junction_table"


def count_junctions(
    slice: Path,
    reference: Path,
    index: Path | None,
    signal: Path,
    record: Path,
    config: SplicingConfig,
    organism: Organism,
    opened: Opened = local_file,
    threads: int = 1,
) -> None:
    """Writes `{track_id}.junctions.parquet`, `.usage.parquet` and `.json` under `signal` for each condition of the
    slice, and their record.

    Junctions: `PLACE`, `count` (mean over samples, each scaled to `config.total`) and, of aligned reads, `reads_0`,
    `reads_1`, ... of every sample, since their filter needs the junctions of the other conditions and is applied when
    the store is written. Usage: `SITE` and `value`, 0..1.
    `index` is STAR's, or None where `config.star` is `skip`. Raises InputError for a source file that cannot be read
    as its row says.
    """
    groups: dict[str, list[Row]] = {}
    for row in read_table(slice):
        groups.setdefault(row["track_id"], []).append(row)
    job = _Job(reference, index, signal, config, organism, opened, threads)
    tracks = [job.track(track_id, rows) for track_id, rows in groups.items()]
    write_json(record, {"bundle": tracks[0]["bundle"], "block": record.stem.split(".")[-1], "tracks": tracks})


@dataclasses.dataclass(frozen=True)
class _Job:
    folder: Path
    index: Path | None
    signal: Path
    config: SplicingConfig
    organism: Organism
    opened: Opened
    threads: int

    def track(self, track_id: str, rows: list[Row]) -> dict[str, Any]:
        description: dict[str, Any] = {name: rows[0][name] for name in ("bundle", "track", "strand", *METADATA)}
        description |= {"track_id": track_id, "index": int(rows[0]["index"])}
        tables = any(row["reading"] in (*_READINGS, _TABLE) for row in rows)
        parameters = {
            "files": [{name: row.get(name, "") for name in ("format", "reading", "samples")} for row in rows],
            "config": dataclasses.asdict(self.config),
            "sizes": dict(self.reference.sizes),
            "aliases": dict(self.organism.aliases),
            "reference": json.loads((self.folder / "reference.json").read_text())["sha256"],
            "index": self._star() if not tables else None,
        }
        found = {"sources": sources(rows), "parameters": parameters}
        key = digest({"description": description, **found, "stage": STAGE_VERSION})
        noted = self.signal / f"{track_id}.json"
        paths = {name: self.signal / f"{track_id}.{name}.parquet" for name in ("junctions", "usage")}
        known = _known(paths, noted, key)
        if known is not None:
            logger.info("%s: unchanged", track_id)
            return known
        began = time.monotonic()
        noted.unlink(missing_ok=True)
        junctions, usage, measured = self._from_tables(rows) if tables else self._from_reads(rows)
        if junctions.empty:
            raise InputError("no splice junction", where=rows[0]["path"], remedy="choose files with spliced reads")
        made = {**description, **measured, **found, "key": key, "stage_version": STAGE_VERSION}
        made["content"] = {}
        for name, table in (("junctions", junctions), ("usage", usage)):
            made["content"][name] = table_content(table)
            with atomic_path(paths[name]) as partial:
                table.to_parquet(partial, index=False)
        write_json(noted, made)
        spent = time.monotonic() - began
        logger.info("%s: %s junctions, %s sites, %.1f s", track_id, len(junctions), len(usage), spent)
        return made

    @property
    def reference(self) -> Reference:
        return Reference.open(self.folder)

    def _star(self) -> dict[str, Any] | None:
        if self.config.star == "skip":
            return None
        if self.index is None or not (self.index / RECORD).exists():
            raise InputError("no index of STAR", where=self.index, remedy="build it, or set splicing.star: skip")
        return dict(json.loads((self.index / RECORD).read_text()))

    def _from_tables(self, rows: Sequence[Row]) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
        table, source = self._table(rows)
        kept = table.kept(self.config)
        junctions = table.places[kept].reset_index(drop=True)
        junctions["count"] = table.scaled_mean(kept, self.config.total)
        usage = site_usage(junctions.rename(columns={"count": "reads"}))[[*SITE, "value"]]
        return junctions, usage, {"ssu_source": source, "samples": table.samples}

    def _table(self, rows: Sequence[Row]) -> tuple[JunctionTable, str]:
        """The junction table of a condition, and what it is called."""
        by_reading = {row["reading"]: row for row in rows}
        sizes, aliases = self.reference.sizes, self.organism.aliases
        if list(by_reading) == [_TABLE] and len(rows) == 1:
            chosen = [name for name in rows[0].get("samples", "").split(",") if name]
            with self.opened(rows[0], "") as path:
                return GtexTable(path, self.reference.genes(), sizes, aliases, chosen), GTEX_TABLE
        if sorted(row["reading"] for row in rows) != sorted(_READINGS):
            what = f"{', '.join(row['reading'] for row in rows)} do not make a junction table"
            raise InputError(what, where=rows[0]["path"], remedy=f"give one file each of {', '.join(_READINGS)}")
        with contextlib.ExitStack() as stack:
            counts, ranges, samples = (stack.enter_context(self.opened(by_reading[name], "")) for name in _READINGS)
            chosen = [name for name in by_reading[_READINGS[2]].get("samples", "").split(",") if name]
            return JunctionTable(counts, ranges, samples, sizes, aliases, chosen), TABLES

    def _from_reads(self, rows: Sequence[Row]) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
        counted, used = [], []
        for row in rows:
            with self.opened(row, "") as path, tempfile.TemporaryDirectory(prefix=".star.", dir=self._scratch()) as out:
                junctions, usage = self._sample(path, Path(out))
            logger.info("%s: %s junctions", path.name, len(junctions))
            counted.append(junctions)
            used.append(usage)
        places, reads = side_by_side(counted)
        junctions = places.assign(count=scaled_mean(reads, self.config.total))
        for number in range(reads.shape[1]):
            junctions[f"reads_{number}"] = reads[:, number]
        source = READS if self.config.star == "required" else ALIGNED_ELSEWHERE
        return junctions, mean_usage(used), {"ssu_source": source, "samples": len(rows)}

    def _sample(self, path: Path, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Junctions (`PLACE`, `reads`) and usage of one sample."""
        quality = {
            "min_mapping_quality": self.config.min_mapping_quality,
            "min_base_quality": self.config.min_base_quality,
        }
        if self.config.star == "required" and self.index is not None:
            aligned = align(path, self.index, out, self.config, self.threads)
            path, names = aligned.bam, {chrom: chrom for chrom in self.reference.sizes}
            junctions = star_junctions(aligned.junctions)
        else:
            names = self._names(path)
            introns, _ = count_reads(path, names, {}, **quality)
            junctions = stranded(introns, self.reference)
        introns, across = count_reads(path, names, boundaries(junctions), **quality)
        # Usage is counted in reads of good quality on both sides; the junctions themselves in fragments.
        places = zip(junctions["chrom"], junctions["start"], junctions["end"], strict=True)
        seen = junctions[PLACE].assign(reads=[float(introns[place]) for place in places])
        return junctions, site_usage(seen, across)[[*SITE, "value"]]

    def _names(self, path: Path) -> dict[str, str]:
        """The BAM's names of chromosomes, to the assembly's. Raises InputError for those of another assembly."""
        import pysam

        try:
            with pysam.AlignmentFile(str(path), "rb") as bam:
                lengths = dict(zip(bam.references, bam.lengths, strict=True))
        except (OSError, ValueError) as error:
            raise InputError(f"truncated or not a BAM: {error}", where=path, remedy="fetch it again") from None
        place = Place(str(path), self.reference.sizes, self.organism.aliases, None)
        return {name: chrom for chrom, name in place.names(lengths).items()}

    def _scratch(self) -> Path:
        """Reads being aligned lie beside the result, where there is room for files of their size."""
        self.signal.mkdir(parents=True, exist_ok=True)
        return self.signal


def _known(paths: dict[str, Path], noted: Path, key: str) -> dict[str, Any] | None:
    """What was noted of the condition, if it was made from the same and its tables are still those."""
    try:
        made: dict[str, Any] = json.loads(noted.read_text())
        if made["key"] != key:
            return None
        same = all(table_content(pd.read_parquet(path)) == made["content"][name] for name, path in paths.items())
    except (OSError, KeyError, ValueError):
        return None
    return made if same else None
