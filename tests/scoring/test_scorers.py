"""Every scorer equals the expected values: same scores, same genes, same junctions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from parity import rules

from megabase.genome.regions import Region
from megabase.scoring.annotation import Annotation, pas_mask
from megabase.scoring.center import center_score, window_bins
from megabase.scoring.comparison import largest
from megabase.scoring.config import EXTRA, SCORERS
from megabase.scoring.contacts import contact_score
from megabase.scoring.genes import exon_score, matching
from megabase.scoring.junctions import junction_scores
from megabase.scoring.polyadenylation import polyadenylation_score
from megabase.scoring.scorers import chosen_scorers
from megabase.scoring.sequences import aligned, indel
from megabase.scoring.vcf import Variant

REGION = Region("chr1", 100_000, 116_384)
STRANDS = ["+", "-", ".", "+", "-"]
BOTH = pytest.mark.parametrize("name", ["snv", "ins"])


class Expected:
    """The expected values, and the inputs they were computed from."""

    def __init__(self, shared: Path) -> None:
        folder = shared / "parity"
        self.fill, self.inputs = rules(shared, "fill"), rules(shared, "inputs")
        self.archive = np.load(folder / "expected.npz")
        cases = json.loads((folder / "scorer_cases.json").read_text())
        self.variants = {
            name: Variant(name, *values)
            for name, values in cases["variants (chrom, 1-based position, ref, alt)"].items()
        }
        rows = pd.DataFrame(cases["gtf"]).rename(
            columns={"Chromosome": "chrom", "Start": "start", "End": "end", "Strand": "strand"}
        )
        pas = pd.DataFrame(cases["pas"]).rename(columns={"Start": "position", "pas_strand": "strand"})
        self.annotation = Annotation(
            rows[rows["Feature"] == "gene"], rows[rows["Feature"] == "exon"], pas.assign(chrom="chr1")
        )

    def alleles(self, bundle: str, shape: tuple[int, ...]) -> list[np.ndarray]:
        return [self.inputs.pred(f"sc/{bundle}/{allele}/0", shape) for allele in ("ref", "alt")]

    def moved(self, alt: np.ndarray, name: str) -> np.ndarray:
        return np.asarray(aligned(alt, *indel(self.variants[name], REGION)))

    def __getitem__(self, key: str) -> np.ndarray:
        return self.archive[f"scorer/{key}"]


@pytest.fixture(scope="module")
def expected(shared: Path) -> Expected:
    return Expected(shared)


def close(made: np.ndarray, wanted: np.ndarray, atol: float = 0) -> None:
    """Relative to the largest value: differences of large sums nearly cancel in single precision."""
    np.testing.assert_allclose(made, wanted, rtol=0, atol=max(atol, 1e-5 * np.abs(wanted).max()))


def test_windows_around_the_variant(expected: Expected) -> None:
    keys = [key.split("/")[2:] for key in expected.archive.files if key.startswith("scorer/center/")]
    seen = 0
    for bundle, width, what, name in keys:
        resolution = 128 if bundle.startswith("CHIP") else 1
        offset = expected.variants[name].start - REGION.start
        first, last = window_bins(offset, -(-int(width) // resolution), resolution, 16_384)
        wanted = expected[f"center/{bundle}/{width}/{what}/{name}"]
        if what == "mask_range":
            assert [first, last - first] == wanted.tolist(), (bundle, width, name)
        else:
            ref, alt = expected.alleles(bundle, (16_384 // resolution, 5))
            close(center_score(ref[first:last], alt[first:last], what), wanted)  # type: ignore[arg-type]
            seen += 1
    assert seen > 100


@BOTH
def test_contacts(expected: Expected, name: str) -> None:
    ref, alt = expected.alleles("CM", (8, 8, 28))
    column = (expected.variants[name].start - REGION.start) // SCORERS["CONTACT_MAPS"].resolution
    close(contact_score(ref[:, column], alt[:, column]), expected[f"contact/{name}"])


@BOTH
def test_alignment(expected: Expected, name: str) -> None:
    made = expected.moved(expected.inputs.pred("sc/align/0", (16_384, 2)), name)
    close(made[-10:], expected[f"align/{name}/tail"])
    close(made.sum(axis=0, dtype=np.float64), expected[f"align/{name}/sum"])
    window = expected[f"align/{name}/window"]
    places = [i for i in range(len(made) - len(window)) if np.array_equal(made[i : i + len(window)], window)]
    assert len(places) == 1
    assert places[0] < indel(expected.variants[name], REGION)[0] < places[0] + len(window)


@BOTH
@pytest.mark.parametrize(("what", "aggregation"), [("lfc", "LFC"), ("active", "ACTIVE")])
def test_expression(expected: Expected, name: str, what: str, aggregation: str) -> None:
    ref, alt = expected.alleles("RNA_SEQ", (16_384, 5))
    genes = expected.annotation.starting(REGION)
    assert [gene.id for gene, _ in genes] == ["G1.1", "G2.3", "G5.9"] == expected[f"gene/{what}/{name}/genes"].tolist()
    masks = np.stack([mask for _, mask in genes])
    assert masks.sum(axis=1).tolist() == expected[f"gene/{what}/{name}/mask_len"].tolist()
    sums = [masks.astype(np.float32) @ values for values in (ref, expected.moved(alt, name))]
    made = exon_score(*sums, masks.sum(axis=1), aggregation)  # type: ignore[arg-type]
    wanted = expected[f"gene/{what}/{name}/X"]
    kept = matching([gene.strand for gene, _ in genes], STRANDS)
    np.testing.assert_array_equal(kept, np.isfinite(wanted))
    close(made[kept], wanted[kept], atol=1e-6)  # single precision of a log


@BOTH
@pytest.mark.parametrize(("what", "bundle"), [("splice_sites", "SPLICE_SITES"), ("usage", "SPLICE_SITE_USAGE")])
def test_splice_sites_and_usage(expected: Expected, name: str, what: str, bundle: str) -> None:
    ref, alt = expected.alleles(bundle, (16_384, 5))
    genes = sorted(expected.annotation.bodies(expected.variants[name]), key=lambda gene: gene.id)
    assert [gene.id for gene in genes] == expected[f"gene/{what}/{name}/genes"].tolist()
    masks = np.zeros((len(genes), 16_384), bool)
    for row, gene in zip(masks, genes, strict=True):
        row[max(gene.start - REGION.start, 0) : gene.end - REGION.start] = True
    made = np.abs(largest(expected.moved(alt, name) - ref, masks))
    wanted = expected[f"gene/{what}/{name}/X"]
    kept = matching([gene.strand for gene in genes], STRANDS)
    np.testing.assert_array_equal(kept, np.isfinite(wanted))
    close(made[kept], wanted[kept])


@BOTH
def test_junctions(expected: Expected, name: str) -> None:
    positions = np.full((4, 24), -1)
    for row, count in enumerate((20, 18, 16, 15)):
        drawn = expected.fill.rng(f"sj_positions/{row}").choice(16_384, count, replace=False)
        positions[row, :count] = np.sort(drawn)
    ref, alt = expected.alleles("SJ", (24, 24, 6))
    found = junction_scores(ref, alt, positions, REGION, expected.annotation.bodies(expected.variants[name]))
    made = {(junction.gene.id, junction.start, junction.end): junction.scores for junction in found}
    keys = zip(
        *(expected[f"junction/{name}/{key}"].tolist() for key in ("gene_id", "junction_Start", "junction_End")),
        strict=True,
    )
    wanted = dict(zip(keys, expected[f"junction/{name}/X"], strict=True))
    assert made.keys() == wanted.keys()
    for key, values in wanted.items():
        close(made[key], values)


def test_a_point_in_an_identifier_is_no_version() -> None:
    genes = pd.DataFrame(
        [("chr1", start, start + 900, "+", f"chr1.gene{i}", "") for i, start in enumerate((1000, 2000), 1)],
        columns=["chrom", "start", "end", "strand", "gene_id", "gene_type"],
    )
    exons = genes.assign(transcript_id=genes["gene_id"])
    sites = [(1500, "chr1.gene1"), (1899, "chr1.gene1"), (2500, "chr1.gene2"), (2899, "chr1.gene2")]
    polya = pd.DataFrame(sites, columns=["position", "gene_id"]).assign(chrom="chr1", strand="+")
    annotation = Annotation(genes, exons, polya)
    ((gene, found),) = annotation.ends(Variant("v", "chr1", 2600, "A", "C"), Region("chr1", 1900, 3000))
    assert gene.id == "chr1.gene2" and found.tolist() == [2500, 2899]
    named = annotation.named("chr1.gene2")
    assert named is not None and named[1].id == "chr1.gene2"


@BOTH
def test_polyadenylation(expected: Expected, name: str) -> None:
    ref, alt = expected.alleles("RNA_SEQ", (16_384, 5))
    alt = expected.moved(alt, name)
    genes = expected.annotation.ends(expected.variants[name], REGION)
    assert [gene.id for gene, _ in genes] == expected[f"polya/{name}/genes"].tolist()
    assert [len(sites) for _, sites in genes] == expected[f"polya/{name}/num_pas"].tolist()
    for (gene, sites), wanted in zip(genes, expected[f"polya/{name}/X"], strict=True):
        masks = np.stack([pas_mask(int(site), gene.strand, REGION) for site in sites]).astype(np.float32)
        close(polyadenylation_score(masks @ ref, masks @ alt), wanted)


def test_nineteen_recommended_scorers() -> None:
    assert len(SCORERS) == 19
    assert SCORERS["CHIP_TF"].bins == 4 and SCORERS["CHIP_HISTONE"].bins == 16 and SCORERS["ATAC"].bins == 501
    assert [scorer.name for scorer in chosen_scorers(["POLYADENYLATION"], ["RNA_SEQ"])] == ["POLYADENYLATION"]


def test_one_more_scorer_keeps_the_sign_of_usage() -> None:
    assert not set(EXTRA) & set(SCORERS)
    usage = [scorer.name for scorer in chosen_scorers([], ["SPLICE_SITE_USAGE"])]
    assert usage == ["SPLICE_SITE_USAGE", "SPLICE_SITE_USAGE_SIGNED"]
    change = np.array([[0.2, 0.1], [-0.5, 0.4], [0.9, 0.0], [0.3, -0.3]], np.float32)
    masks = np.array([[True, True, False, False], [False, False, True, True], [False] * 4])
    np.testing.assert_array_equal(largest(change, masks), np.array([[-0.5, 0.4], [0.9, -0.3], [0, 0]], np.float32))
