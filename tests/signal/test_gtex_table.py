"""GTEx's table of junction counts gives what recount3's three tables of the same counts give."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_junction_counts import SIZES, write_tables

from megabase.errors import InputError
from megabase.signal.splicing.config import SplicingConfig
from megabase.signal.splicing.gtex import GtexTable
from megabase.signal.splicing.recount3 import JunctionTable

GENES = pd.DataFrame({"gene_id": ["ENSG1.5", "ENSG2.1"], "strand": ["+", "-"]})
PLACES = [("chr1", 100, 200, "+"), ("chr1", 100, 400, "+"), ("chr1", 300, 400, "-"), ("chr2", 50, 200, "-")]


def write_gct(path: Path, counts: np.ndarray, genes: list[str]) -> Path:
    """The table as GTEx writes it: it counts from 1, and its samples have names."""
    names = [f"GTEX-{number}" for number in range(counts.shape[1])]
    lines = ["#1.2", f"{len(counts)}\t{counts.shape[1]}", "\t".join(["Name", "Description", *names])]
    for (chrom, start, end, _), gene, row in zip(PLACES, genes, counts, strict=True):
        lines.append("\t".join([f"{chrom}_{start + 1}_{end}", gene, *map(str, row)]))
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


def test_both_tables_say_the_same(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(2, (len(PLACES), 12))
    path = write_gct(tmp_path / "junctions.gct.gz", counts, ["ENSG1.4", "ENSG1.4", "ENSG2.9", "ENSG2"])
    (tmp_path / "recount3").mkdir()
    for chosen in ((), (2, 5, 11)):
        ours = GtexTable(path, GENES, SIZES, {}, [f"GTEX-{number}" for number in chosen])
        theirs = JunctionTable(
            *write_tables(tmp_path / "recount3", counts, PLACES), SIZES, {}, [str(number) for number in chosen]
        )
        pd.testing.assert_frame_equal(ours.places, theirs.places)
        assert ours.samples == theirs.samples == (len(chosen) or 12)
        kept = theirs.kept(SplicingConfig())
        assert (ours.kept(SplicingConfig()) == kept).all()
        assert np.array_equal(ours.scaled_mean(kept, 1e6), theirs.scaled_mean(kept, 1e6))


def test_junctions_of_unknown_genes_are_left_out_and_bad_tables_refused(tmp_path: Path) -> None:
    counts = np.ones((len(PLACES), 2), int)
    path = write_gct(tmp_path / "junctions.gct.gz", counts, ["ENSG1", "ENSG9", "ENSG2", "ENSG2"])
    assert len(GtexTable(path, GENES, SIZES, {}).places) == 3
    with pytest.raises(InputError, match="no sample GTEX-7; ask the portal again"):
        GtexTable(path, GENES, SIZES, {}, ["GTEX-7"])
    other = tmp_path / "other.gct"
    other.write_text("#1.2\nName\tDescription\tGTEX-0\nnonsense\tENSG1\t1\n")
    with pytest.raises(InputError, match="not a junction: nonsense"):
        GtexTable(other, GENES, SIZES, {})
    other.write_text("chrom\tstart\n")
    with pytest.raises(InputError, match=r"not a table of junctions \(GCT\)"):
        GtexTable(other, GENES, SIZES, {})
