"""Variants from VCF to Parquet, against the same scores worked out one by one from the model's predictions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_model import EXONS, GENES, POLYA, SIZES, WINDOW, sequence, write_model, write_reference

from megabase.bundles import BUNDLES
from megabase.commands.score import score
from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.genome.sequence import encode, reverse_complement
from megabase.scoring.annotation import Annotation
from megabase.scoring.config import EXTRA, SCORERS, ScoringConfig
from megabase.scoring.predict import Predictor
from megabase.scoring.sequences import aligned, alleles, indel, window
from megabase.scoring.variants import score_variants
from megabase.scoring.vcf import Variant, read_vcf


def changed(chrom: str, position: int, ref_length: int, alt: str, name: str = "v") -> Variant:
    """A variant with the reference's own letters as REF."""
    return Variant(name, chrom, position, sequence(chrom)[position - 1 : position - 1 + ref_length], alt)


def other(chrom: str, position: int) -> str:
    return "ACGT"["CGTA".index(sequence(chrom)[position - 1])]


VARIANTS = [
    changed("chr1", 4301, 1, other("chr1", 4301), "snv"),
    changed("chr1", 4101, 1, sequence("chr1")[4100] + "GATTACA", "insertion"),
    changed("chr1", 4201, 9, sequence("chr1")[4200], "deletion"),
    changed("chr2", 30, 1, other("chr2", 30), "edge"),  # no gene on this chromosome
    changed("chr1", 8990, 1, other("chr1", 8990), "end"),
    changed("chr1", 4251, 3, "".join(other("chr1", place) for place in (4251, 4252, 4253)), "substitution"),
    changed("chr1", 4281, 4, other("chr1", 4281) + "GG", "replacement"),  # of four bases by three
]


def write_vcf(path: Path, rows: list[str]) -> Path:
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def row(variant: Variant) -> str:
    return f"{variant.chrom}\t{variant.position}\t{variant.id}\t{variant.ref}\t{variant.alt}\t.\t.\t."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scoring")
    write_reference(folder / "reference")
    write_model(folder / "model")
    write_vcf(folder / "variants.vcf", [row(variant) for variant in VARIANTS])
    return folder


@pytest.fixture(scope="module")
def table(made: Path) -> pd.DataFrame:
    config = ScoringConfig(batch=2)
    score_variants(made / "model", made / "reference", made / "variants.vcf", made / "scores.parquet", config, "first")
    return pd.read_parquet(made / "scores.parquet")


@pytest.fixture(scope="module")
def predictor(made: Path) -> Predictor:
    return Predictor.load(made / "model")


class Slow:
    """Predictions for one variant, one allele after the other, ALT moved base by base."""

    def __init__(self, predictor: Predictor, variant: Variant) -> None:
        self.first = variant.position - 1 + len(variant.ref) // 2 - WINDOW // 2
        own, at = sequence(variant.chrom), variant.position - 1
        texts = [own, own[:at] + variant.alt + own[at + len(variant.ref) :]]
        padded = ["N" * WINDOW + text + "N" * WINDOW for text in texts]
        codes = [encode(text[WINDOW + self.first :][:WINDOW]) for text in padded]
        self.tracks = [predictor.predict(own[None], "first") for own in codes]
        self.codes, self.predictor, self.variant = codes, predictor, variant
        self.at = at - self.first
        self.shared = min(len(variant.ref), len(variant.alt))

    def __call__(self, bundle: str, moved: bool = True) -> list[np.ndarray]:
        resolution = SCORERS[bundle].resolution
        ref, alt = (tracks[BUNDLES[bundle].head][resolution][0] for tracks in self.tracks)
        return [ref, self.back(alt) if moved else alt]

    def back(self, alt: np.ndarray) -> np.ndarray:
        last, gain = self.at + self.shared - 1, len(self.variant.alt) - len(self.variant.ref)
        rows = list(alt)
        if gain > 0:
            peak = np.max(rows[last : last + gain + 1], axis=0)
            rows = rows[:last] + [peak] + rows[last + gain + 1 :] + [0 * peak] * gain
        elif gain < 0:
            rows = (rows[: last + 1] + [0 * rows[0]] * -gain + rows[last + 1 :])[:WINDOW]
        return np.stack(rows)

    def bases(self, places: list[tuple[int, int]]) -> np.ndarray:
        mask = np.zeros(WINDOW, bool)
        for start, end in places:
            mask[max(start - self.first, 0) : max(end - self.first, 0)] = True
        return mask


def rows_of(table: pd.DataFrame, variant: Variant, scorer: str, gene: str | None = None) -> np.ndarray:
    chosen = table[(table["variant_id"] == variant.id) & (table["scorer"] == scorer)]
    chosen = chosen[chosen["gene_id"].isna()] if gene is None else chosen[chosen["gene_id"] == gene]
    return chosen["raw_score"].to_numpy()


EACH = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.id)


@EACH
def test_every_score_is_that_of_the_predictions(predictor: Predictor, table: pd.DataFrame, variant: Variant) -> None:
    slow = Slow(predictor, variant)

    def close(made: np.ndarray, wanted: np.ndarray) -> None:
        np.testing.assert_allclose(made, wanted, rtol=2e-3, atol=2e-5)

    for bundle in ("ATAC", "CAGE", "DNASE", "PROCAP", "CHIP_TF", "CHIP_HISTONE"):
        bins = {"CHIP_TF": 4, "CHIP_HISTONE": 16}.get(bundle, 501)
        first = slow.at // SCORERS[bundle].resolution - bins // 2
        ref, alt = (values[first : first + bins].sum(axis=0, dtype=float) for values in slow(bundle, moved=False))
        close(rows_of(table, variant, bundle), np.log2((1 + alt) / (1 + ref)))
        close(rows_of(table, variant, f"{bundle}_ACTIVE"), np.maximum(ref, alt))
    ref, alt = slow("CONTACT_MAPS", moved=False)
    close(rows_of(table, variant, "CONTACT_MAPS"), np.abs(alt - ref)[:, slow.at // 2048].mean(axis=0))

    ref, alt = slow("RNA_SEQ")
    strands = np.array(list("+-+-."))
    end = max(variant.end, variant.start + len(variant.alt))
    for chrom, start, stop, strand, gene, _kind in GENES:
        kept = (strands == strand) | (strands == ".")
        exons = []
        for transcript in sorted({exon[5] for exon in EXONS if exon[4] == gene}):
            own = [(exon[1], exon[2]) for exon in EXONS if exon[5] == transcript]
            begins = min(own)[0] if strand == "+" else max(own)[1] - 1
            if chrom == variant.chrom and slow.first <= begins < slow.first + WINDOW:
                exons += own
        mask = slow.bases(exons)
        wanted = np.log(alt[mask].mean(axis=0) + 1e-3) - np.log(ref[mask].mean(axis=0) + 1e-3) if exons else None
        close(rows_of(table, variant, "RNA_SEQ", gene), np.zeros(0) if wanted is None else wanted[kept])
        touched = chrom == variant.chrom and start < end and stop > variant.start
        for bundle in ("SPLICE_SITES", "SPLICE_SITE_USAGE"):
            before, after = slow(bundle)
            inside = (after - before)[slow.bases([(start, stop)])]
            wanted = np.abs(inside).max(axis=0, initial=0)
            own_strand = np.array(list("++--")) == strand
            close(rows_of(table, variant, bundle, gene), wanted[own_strand] if touched else np.zeros(0))
        signed = np.take_along_axis(inside, np.abs(inside).argmax(axis=0)[None], axis=0)[0] if touched else wanted
        close(rows_of(table, variant, "SPLICE_SITE_USAGE_SIGNED", gene), signed[own_strand] if touched else np.zeros(0))
        sites = sorted(site for site, side, name in POLYA if name[:2] == gene[:2])
        if not touched or not sites:
            assert not len(rows_of(table, variant, "POLYADENYLATION", gene))
            continue
        change = []
        for site in sites:
            mask = slow.bases([(site - 399, site + 1) if strand == "+" else (site, site + 400)])
            change.append(alt[mask].sum(axis=0) / ref[mask].sum(axis=0))
        splits = [
            np.abs(np.log2((len(sites) - k) / k * np.sum(change[:k], axis=0) / np.sum(change[k:], axis=0)))
            for k in range(1, len(sites))
        ]
        close(rows_of(table, variant, "POLYADENYLATION", gene), np.max(splits, axis=0)[kept])


@pytest.mark.parametrize("variant", VARIANTS[:1], ids=lambda variant: variant.id)
def test_junctions_lie_between_sites_of_both_alleles(
    predictor: Predictor, table: pd.DataFrame, variant: Variant
) -> None:
    slow = Slow(predictor, variant)
    ref, alt = slow("SPLICE_SITES")
    seen = np.maximum(ref, alt)
    annotated = [set(), set(), set(), set()]
    for _, start, end, strand, _, transcript in EXONS:
        own = [(exon[1], exon[2]) for exon in EXONS if exon[5] == transcript]
        if end != max(own)[1]:
            annotated[0 if strand == "+" else 3].add(end - 1)
        if start != min(own)[0]:
            annotated[1 if strand == "+" else 2].add(start)
    for kind, positions in enumerate(annotated):
        seen[[p - slow.first for p in positions if 0 <= p - slow.first < WINDOW], kind] = 1
    seen[~slow.bases([(start, end) for _, start, end, *_ in GENES])] = 0
    positions = np.full((1, 4, 12), -1, np.int32)
    for kind in range(4):
        likely = np.sort(np.argsort(-seen[:, kind], kind="stable")[:12])
        likely = likely[seen[likely, kind] >= 0.1]
        positions[0, kind, : len(likely)] = likely
    counts = [slow.predictor.junctions(codes[None], "first", positions)[0] for codes in slow.codes]
    change = np.abs(np.log(counts[1] + 1e-7) - np.log(counts[0] + 1e-7))
    rows = table[(table["variant_id"] == variant.id) & (table["scorer"] == "SPLICE_JUNCTIONS")]
    assert set(rows["gene_id"]) == {"G1.1", "G2.3"} and set(rows["track"]) == {0, 1}
    for _, start, end, strand, gene, _ in GENES[:2]:
        best = {0: 0.0, 1: 0.0}
        for i in range(12):
            for j in range(12):
                half = 0 if strand == "+" else 2
                donor, acceptor = positions[0, half, i], positions[0, half + 1, j]
                left, right = sorted((int(donor), int(acceptor)))
                ordered = donor < acceptor if strand == "+" else acceptor < donor
                inside = left + 1 + slow.first > start and right + slow.first < end and right > left + 1
                if min(donor, acceptor) < 0 or not ordered or not inside:
                    continue
                for track in best:
                    best[track] = max(best[track], change[i, j, half + track])
                same = rows[(rows["junction_start"] == left + 1 + slow.first) & (rows["gene_id"] == gene)]
                same = same[same["junction_end"] == right + slow.first].sort_values("track")
                if len(same):
                    np.testing.assert_allclose(same["raw_score"], change[i, j, half : half + 2], rtol=0.02, atol=1e-4)
        own = rows[rows["gene_id"] == gene].groupby("track")["raw_score"].max()
        np.testing.assert_allclose([own[0], own[1]], [best[0], best[1]], rtol=0.02, atol=1e-4)


def test_the_table_says_what_made_it(made: Path, table: pd.DataFrame) -> None:
    assert set(table["scorer"]) == {*SCORERS, *EXTRA}
    both = [table.loc[table["scorer"] == f"SPLICE_SITE_USAGE{end}", "raw_score"].to_numpy() for end in ("", "_SIGNED")]
    np.testing.assert_array_equal(both[0], np.abs(both[1]))
    assert set(np.sign(both[1])) >= {-1, 1}
    assert table["raw_score"].notna().all()
    assert (table.loc[table["scorer"] == "RNA_SEQ", "raw_score"] != 0).any()
    record = json.loads(pq.read_schema(made / "scores.parquet").metadata[b"megabase"])
    assert record["assembly"] == "made1" and record["window"] == WINDOW and record["weights_sha256"]
    snv = table[(table["variant_id"] == "snv") & (table["scorer"] == "CAGE")]
    assert snv[["position", "ref", "track", "track_name", "strand", "biosample"]].to_numpy().tolist() == [
        [4301, VARIANTS[0].ref, track, "ab"[track // 2], "+-"[track % 2], "ab"[track // 2]] for track in range(4)
    ]


def test_batches_do_not_change_scores(made: Path, table: pd.DataFrame) -> None:
    out = score(
        made / "variants.vcf", made / "model", made / "reference", made / "one.parquet", "first", ["DNASE"], batch=3
    )
    again = pd.read_parquet(out)
    wanted = table[table["scorer"] == "DNASE"]
    assert again["variant_id"].tolist() == wanted["variant_id"].tolist()
    np.testing.assert_allclose(again["raw_score"], wanted["raw_score"], rtol=1e-3, atol=1e-5)


def test_what_cannot_be_scored_is_said_in_one_line(made: Path) -> None:
    for change, words in (
        ({"organism": "third"}, "knows no organism `third`"),
        ({"scorers": ["SPLICING"]}, "no scorer `SPLICING`"),
        ({"organism": "second", "scorers": ["ATAC"]}, "no tracks for ATAC"),
    ):
        arguments = {"organism": "first", **change}
        with pytest.raises(InputError, match=words):
            score(made / "variants.vcf", made / "model", made / "reference", made / "x.parquet", **arguments)  # type: ignore[arg-type]
    assert not (made / "x.parquet").exists()


def test_junctions_are_the_same_from_the_other_strand(predictor: Predictor) -> None:
    codes = encode(sequence("chr1")[:WINDOW])[None]
    positions = np.array([[[5, 90, 400], [70, 300, -1], [8, 600, 900], [1000, -1, -1]]], np.int32)
    for organism, tissues in (("first", 2), ("second", 3)):
        made_ = predictor.junctions(codes, organism, positions, reverse_complement_average=False)
        assert made_.shape == (1, 3, 3, 2 * tissues)
        assert (made_[0, :, :2, :tissues] > 0).all() and not made_[0, :, 2, :tissues].any()
        assert not made_[0, :, 1:, tissues:].any() and len(np.unique(made_[0, 0, 0])) == 2 * tissues
        both = predictor.junctions(codes, organism, positions)
        mirrored = np.where(positions >= 0, WINDOW - 1 - positions, -1)[:, [2, 3, 0, 1]]
        turned = predictor.junctions(reverse_complement(codes), organism, mirrored, reverse_complement_average=False)
        wanted = (made_ + np.concatenate([turned[..., tissues:], turned[..., :tissues]], axis=-1)) / 2
        np.testing.assert_allclose(both, wanted, rtol=1e-5)


class TestVcf:
    """Reading of VCF files."""

    def read(self, made: Path, tmp_path: Path, rows: list[str], longest: int = 50) -> list[Variant]:
        return read_vcf(write_vcf(tmp_path / "x.vcf", rows), Reference.open(made / "reference"), longest=longest)

    def test_several_alleles_and_names(self, made: Path, tmp_path: Path) -> None:
        base, rest = sequence("chr1")[99], [letter for letter in "ACGT" if letter != sequence("chr1")[99]]
        rows = [f"1\t100\t.\t{base}\t{rest[0].lower()}", f"chr1\t100\trs1\t{base}\t{rest[0]},<DEL>,{rest[1]}\t.\t.\t."]
        variants = self.read(made, tmp_path, rows)
        assert [variant.id for variant in variants] == [
            f"chr1:100:{base}>{rest[0]}",
            f"rs1:{rest[0]}",
            f"rs1:{rest[1]}",
        ]
        packed = tmp_path / "packed.vcf"
        packed.write_bytes(gzip.compress((tmp_path / "x.vcf").read_bytes()))
        assert read_vcf(packed, Reference.open(made / "reference"), longest=50) == variants

    def test_left_out_with_a_count(self, made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        base = sequence("chr1")[99]
        wrong = "ACGT"["CGTA".index(base)]
        rows = [
            f"chr1\t100\tright\t{base}\t{wrong}",
            f"chr1\t100\ta\t{wrong}\t{base}",
            f"chr1\t100\tb\t{wrong}\t{base}",
            "chrX\t5\tc\tA\tC",
            f"chr1\t{SIZES['chr1'] + 1}\td\tA\tC",
            f"chr1\t100\te\t{base}\t*",
            f"chr1\t100\tf\t{base}\t{base}{'A' * 60}",
            f"chr1\t100\tg\t{base}\t.",
        ]
        assert [variant.id for variant in self.read(made, tmp_path, rows)] == ["right"]
        for words in (
            "2 whose REF is not",
            "1 on a chromosome",
            "1 beyond the end",
            "1 longer than 50 bp",
            "no sequence",
        ):
            assert words in caplog.text

    def test_nothing_left_and_malformed(self, made: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no variant can be scored: 1 on a chromosome"):
            self.read(made, tmp_path, ["chr9\t5\tc\tA\tC"])
        with pytest.raises(InputError, match="line 3: not a VCF row"):
            self.read(made, tmp_path, ["chr1 5 c A C"])
        with pytest.raises(InputError, match="no such VCF"):
            read_vcf(tmp_path / "absent.vcf", Reference.open(made / "reference"), longest=5)


def test_alignment_of_every_small_indel() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((12, 2), np.float32)
    for last in range(12):
        for gain in range(-4, 5):
            rows = list(values)
            if gain > 0:
                rows = [*rows[:last], np.max(rows[last : last + gain + 1], axis=0), *rows[last + gain + 1 :]]
            elif gain < 0:
                rows = rows[: last + 1] + [np.zeros(2)] * -gain + rows[last + 1 :]
            wanted = np.stack((rows + [np.zeros(2)] * 12)[:12])
            np.testing.assert_array_equal(np.asarray(aligned(values, last, gain)), wanted)


@EACH
def test_alleles_differ_only_from_the_variant_on(made: Path, variant: Variant) -> None:
    region = window(variant, WINDOW)
    ref, alt = alleles(Reference.open(made / "reference"), variant, region)
    assert len(ref) == len(alt) == WINDOW
    at, (last, gain) = variant.start - region.start, indel(variant, region)
    np.testing.assert_array_equal(ref[:at], alt[:at])
    np.testing.assert_array_equal(alt[at : at + len(variant.alt)], encode(variant.alt))
    shared = WINDOW - at - max(len(variant.ref), len(variant.alt))
    np.testing.assert_array_equal(ref[at + len(variant.ref) :][:shared], alt[at + len(variant.alt) :][:shared])
    assert last == at + min(len(variant.ref), len(variant.alt)) - 1
    assert gain == len(variant.alt) - len(variant.ref)


def test_annotated_splice_sites(made: Path) -> None:
    region = window(VARIANTS[0], 9000)
    made_ = Annotation.open(made / "reference").splice_sites(region)
    places = [np.flatnonzero(made_[:, kind]) + region.start for kind in range(4)]
    assert [own.tolist() for own in places] == [[2099, 3199], [3000, 4900], [5900], [4099]]
