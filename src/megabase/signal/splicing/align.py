"""Reads of a BAM, aligned again with STAR against the reference and its annotated junctions (paper section 1.6)."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import tempfile
from pathlib import Path

import pandas as pd

from megabase.artifacts import atomic_directory, digest, write_json
from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.signal.splicing.config import SplicingConfig
from megabase.signal.splicing.star import find_star

logger = logging.getLogger(__name__)

RECORD = "index.json"
"""Beside the index: what it was made of and with which STAR."""
# Secondary, failed quality checks, duplicate, supplementary: not aligned again.
_LEFT_OUT = 0x100 | 0x200 | 0x400 | 0x800


@dataclasses.dataclass(frozen=True)
class Aligned:
    """What STAR makes of one sample."""

    bam: Path
    """Alignments, mates side by side, in the order of the reads."""
    junctions: Path
    """`SJ.out.tab`."""


def build_index(reference: Path, out: Path, config: SplicingConfig, threads: int = 1) -> None:
    """Writes STAR's index of a reference folder, with the junctions of its exons.

    Raises InputError where STAR is absent or refuses the genome.
    """
    opened, star = Reference.open(reference), find_star()
    fact = json.loads((reference / "reference.json").read_text())
    length = sum(opened.sizes.values())
    with atomic_directory(out) as partial, tempfile.TemporaryDirectory() as scratch:
        annotation = Path(scratch) / "exons.gtf"
        exons = opened.splice_exons()
        _write_gtf(exons, annotation)
        arguments: list[str | int | float | Path] = [
            *("--runMode", "genomeGenerate", "--runThreadN", threads, "--genomeDir", partial),
            *("--genomeFastaFiles", reference / "genome.fa", "--outTmpDir", Path(scratch) / "tmp"),
            # The manual's rule for small genomes, and for many sequences.
            *("--genomeSAindexNbases", max(1, min(14, int(math.log2(length) / 2 - 1)))),
            *("--genomeChrBinNbits", max(8, min(18, int(math.log2(length / len(opened.sizes)))))),
            *("--outFileNamePrefix", f"{partial}/"),
        ]
        if _spliced(exons):
            arguments += ["--sjdbGTFfile", annotation, "--sjdbOverhang", config.sjdb_overhang]
        star.run(arguments, reference)
        content = digest({"reference": fact["sha256"], "sizes": opened.sizes, "overhang": config.sjdb_overhang})
        write_json(partial / RECORD, {"content": content, "star": star.version})
    logger.info("%s: %s bp, STAR %s", out, length, star.version)


def align(bam: Path, index: Path, out: Path, config: SplicingConfig, threads: int = 1) -> Aligned:
    """Aligns the reads of `bam` again, into the existing folder `out`; equal reads give equal counts.

    Reads are taken once, as they left the sequencer: primary records in their original direction, duplicates left
    out. Mates are aligned together; where a BAM has both, reads without a mate are left out.
    Raises InputError for a BAM without reads.
    """
    reads = _fastq(bam, out)
    arguments: list[str | int | float | Path] = [
        *("--runThreadN", threads, "--genomeDir", index, "--outSAMtype", "BAM", "Unsorted"),
        *("--outFileNamePrefix", f"{out}/", "--outTmpDir", out / "tmp"),
        "--readFilesIn",
        *reads,
    ]
    for name, value in config.star_parameters.items():
        arguments += [f"--{name}", value]
    find_star().run(arguments, bam)
    for path in reads:
        path.unlink()
    return Aligned(out / "Aligned.out.bam", out / "SJ.out.tab")


def _fastq(bam: Path, out: Path) -> list[Path]:
    """The reads of a BAM in any order, as one FASTQ or as two of mates in the same order."""
    import pysam

    collated, single = out / "collated.bam", out / "single.fq"
    mates = [out / "mate1.fq", out / "mate2.fq"]
    try:
        # Level 1: the file lives for a minute.
        pysam.collate("-l", "1", "-o", str(collated), str(bam), str(out / "collate"), catch_stdout=False)
        pysam.fastq(
            *("-n", "-F", str(_LEFT_OUT), "-0", str(single), "-s", str(out / "alone.fq")),
            *("-1", str(mates[0]), "-2", str(mates[1]), str(collated)),
            catch_stdout=False,
        )
    except pysam.SamtoolsError as error:
        what = f"truncated or not a BAM: {' '.join(str(error).split())[-300:]}"
        raise InputError(what, where=bam, remedy="fetch the file again") from None
    finally:
        collated.unlink(missing_ok=True)
    (out / "alone.fq").unlink(missing_ok=True)
    if mates[0].stat().st_size:
        single.unlink()
        return mates
    if not single.stat().st_size:
        raise InputError("no reads", where=bam, remedy="choose another file")
    return [single]


def _spliced(exons: pd.DataFrame) -> bool:
    """Whether any transcript has two exons: STAR refuses an annotation without junctions."""
    return bool((exons.groupby("transcript_id").size() > 1).any())


def _write_gtf(exons: pd.DataFrame, path: Path) -> None:
    named = [exons[column] for column in ("chrom", "start", "end", "strand", "gene_id", "transcript_id")]
    with open(path, "w") as file:
        for chrom, start, end, strand, gene, transcript in zip(*named, strict=True):
            attributes = f'gene_id "{gene}"; transcript_id "{transcript}";'
            file.write(f"{chrom}\t.\texon\t{start + 1}\t{end}\t.\t{strand}\t.\t{attributes}\n")
