"""Slices become tracks: normalised as each assay is, resumed by content, equal to the raw files on real data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cooler
import ml_dtypes
import numpy as np
import pyBigWig
import pysam
import pytest
import zarr
from test_readers import SIZES, write_bigwig

from megabase.artifacts import write_json
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.genome.reference import build_reference
from megabase.portals.manifest import pin_part
from megabase.signal.build import build_block
from megabase.signal.config import SignalConfig

COLUMNS = ["bundle", "track", "strand", "file", "format", "reading", "pair", "control", "sign", "covered"]


def made(folder: Path, rows: list[list[str]], **given: object) -> Organism:
    bundles: dict[str, int] = {}
    for row in {(row[0], row[1], row[2]) for row in rows}:
        bundles[row[0]] = bundles.get(row[0], 0) + 1
    (folder / "sources.tsv").write_text("\n".join("\t".join(row) for row in [COLUMNS, *rows]) + "\n")
    (folder / "reference").mkdir(exist_ok=True)
    write_json(folder / "reference/reference.json", {"assembly": "made1", "sizes": SIZES})
    plain = {"index": 0, "assembly": "made1", "fasta": "x", "annotation": "x", "chromosomes": list(SIZES)}
    plain |= {"sources": str(folder / "sources.tsv"), "source_root": str(folder), "bundles": bundles}
    return Organism(**plain | {"folds": [{"train": ["chr1"], "valid": [], "test": []}]} | given)


def built(folder: Path, organism: Organism, bundle: str, config: SignalConfig | None = None) -> dict[str, dict]:
    pin_part(organism, bundle, 0, 64, folder / "slice.tsv")
    record = folder / f"{bundle}.0000.json"
    build_block(folder / "slice.tsv", folder / "reference", folder / bundle, record, config or SignalConfig(), organism)
    return {track["track_id"]: track for track in json.loads(record.read_text())["tracks"]}


def values_of(folder: Path, track_id: str, chrom: str) -> np.ndarray:
    array = np.asarray(zarr.open_group(str(folder / f"{track_id}.zarr"), mode="r")[chrom])
    return array.view(ml_dtypes.bfloat16).astype(np.float64) if array.dtype == np.uint16 else array


def row(bundle: str, track: str, strand: str, file: str, reading: str, **more: str) -> list[str]:
    given = {"bundle": bundle, "track": track, "strand": strand, "file": file, "format": "bigWig", "reading": reading}
    return [({**given, **more}).get(column, "") for column in COLUMNS]


def test_strand_pairs_share_one_total(tmp_path: Path) -> None:
    write_bigwig(tmp_path / "p.bw", values=(1.0, 3.0))
    write_bigwig(tmp_path / "m.bw", values=(6.0,))
    rows = [
        row("RNA_SEQ", "r", "+", "p.bw", "coverage", pair="m.bw"),
        row("RNA_SEQ", "r", "-", "m.bw", "coverage", pair="p.bw"),
    ]
    tracks = built(tmp_path, made(tmp_path, rows), "RNA_SEQ")
    assert tracks["r.plus"]["total"] == pytest.approx(4e7) and tracks["r.minus"]["total"] == pytest.approx(6e7)
    assert tracks["r.plus"]["nonzero_mean"] == tracks["r.minus"]["nonzero_mean"] == pytest.approx((4e6 + 12e6) / 2)


def test_replicates_are_averaged_before_or_after_scaling(tmp_path: Path) -> None:
    write_bigwig(tmp_path / "a.bw", values=(1.0,))
    write_bigwig(tmp_path / "b.bw", values=(0.0, 3.0))
    for bundle, first in (("CAGE", 0.5), ("DNASE", 0.25)):
        rows = [row(bundle, "t", ".", name, "coverage") for name in ("a.bw", "b.bw")]
        tracks = built(tmp_path, made(tmp_path, rows), bundle)
        values = values_of(tmp_path / bundle, "t", "chr1")
        assert tracks["t"]["total"] == pytest.approx(1e8)
        assert values[10] == pytest.approx(first * 1e8 / 5, rel=1 / 256)


def test_fold_change_over_control_has_a_floor(tmp_path: Path) -> None:
    write_bigwig(tmp_path / "chip.bw", values=(4.0, 4.0, 4.0))
    write_bigwig(tmp_path / "input.bw", values=(2.0, 6.0))
    rows = [row("CHIP_TF", "t", ".", "chip.bw", "fold_change", control="input.bw")]
    track = built(tmp_path, made(tmp_path, rows), "CHIP_TF")["t"]
    ratio = 4.0 * (40 / 60)
    # Bins of 16 bp; the third peak has no control, so the genome's mean stands in.
    assert track["total"] == pytest.approx(5 * ratio / 2 + 5 * ratio / 6 + 5 * ratio / (40 / 1500))


def test_unchanged_tracks_are_left_alone_and_broken_ones_are_not(tmp_path: Path) -> None:
    for name in "ab":
        write_bigwig(tmp_path / f"{name}.bw", values=(1.0, 2.0))
    organism = made(tmp_path, [row("CAGE", name, ".", f"{name}.bw", "coverage") for name in "ab"])
    built(tmp_path, organism, "CAGE")
    times = {name: (tmp_path / f"CAGE/{name}.json").stat().st_mtime_ns for name in "ab"}
    write_bigwig(tmp_path / "b.bw", values=(5.0, 2.0))
    built(tmp_path, organism, "CAGE")
    after = {name: (tmp_path / f"CAGE/{name}.json").stat().st_mtime_ns for name in "ab"}
    assert after["a"] == times["a"] and after["b"] > times["b"]
    chunk = next(
        path for path in (tmp_path / "CAGE/a.zarr/chr1").rglob("*") if path.is_file() and path.name != "zarr.json"
    )
    shutil.copy(next(p for p in (tmp_path / "CAGE/b.zarr/chr1").rglob("*") if p.name == chunk.name), chunk)
    built(tmp_path, organism, "CAGE")
    assert (tmp_path / "CAGE/a.json").stat().st_mtime_ns > times["a"], (
        "values that are not the noted ones are made again"
    )


def test_a_source_that_changed_after_pinning_is_refused(tmp_path: Path) -> None:
    write_bigwig(tmp_path / "a.bw")
    organism = made(tmp_path, [row("CAGE", "a", ".", "a.bw", "coverage")])
    pin_part(organism, "CAGE", 0, 64, tmp_path / "slice.tsv")
    write_bigwig(tmp_path / "a.bw", values=(7.0, 2.5))
    with pytest.raises(InputError, match=r"checksum mismatch: .*a\.bw"):
        build_block(
            tmp_path / "slice.tsv",
            tmp_path / "reference",
            tmp_path / "s",
            tmp_path / "r.json",
            SignalConfig(),
            organism,
        )
    assert not (tmp_path / "r.json").exists()


@pytest.fixture(scope="module")
def region(shared: Path, tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> tuple[Path, dict[str, dict]]:
    """The real yeast and chr22 tracks that are quick to build, from the project's own source tables."""
    from megabase.config import load

    folder = tmp_path_factory.mktemp("region")
    own = folder / "own.yaml"
    own.write_text(f"source_root: {shared / 'real'}\n")
    config = load([repo_root / "config/default.yaml", repo_root / "config/region.yaml", own])
    tracks: dict[str, dict] = {}
    for name, bundles in (
        ("yeast", ["CAGE", "CHIP_HISTONE", "CONTACT_MAPS", "ATAC"]),
        ("human_chr22", ["RNA_SEQ", "PROCAP"]),
    ):
        organism = config.organisms[name]
        organism = Organism(
            **{k: v for k, v in organism.__dict__.items() if not k.startswith("_")}
            | {"sources": str(repo_root / organism.sources)}
        )
        build_reference(organism, folder / "reference")
        for bundle in bundles:
            tracks |= built(folder, organism, bundle, config.signal)
    return folder, tracks


def windows(size: int, n: int = 20) -> list[tuple[int, int]]:
    starts = np.random.default_rng(0).integers(0, size - 2048, n)
    return [(int(start) // 16 * 16, int(start) // 16 * 16 + 2048) for start in starts]


def close(stored: np.ndarray, raw: np.ndarray) -> bool:
    """Within the rounding of bfloat16."""
    return bool(np.all(np.abs(stored - raw) <= np.abs(raw) * 2.0**-8 + 1e-12))


@pytest.mark.real
def test_real_bigwigs_equal_pybigwig(region: tuple[Path, dict], shared: Path) -> None:
    folder, tracks = region
    raw = pyBigWig.open(str(shared / "real/yeast/MNase.bw"))
    stored = values_of(folder / "CHIP_HISTONE", "yeast_MNase_seq", "chrII")
    for start, end in windows(800_000):
        expected = np.nan_to_num(raw.values("chrII", start, end, numpy=True)).astype(np.float64)
        assert close(stored[start // 16 : end // 16], expected.reshape(-1, 16).mean(axis=1))
    minus = pyBigWig.open(str(shared / "real/human_chr22/PROCAP_minus.bw"))
    stored = values_of(folder / "PROCAP", "PRO_cap.minus", "chr22")
    scale = tracks["PRO_cap.minus"]["scale"][0]
    for start, end in windows(51_000_000, 200):
        assert close(stored[start:end], -scale * np.nan_to_num(minus.values("chr22", start, end, numpy=True)))
    assert tracks["PRO_cap.minus"]["total"] == pytest.approx(1e8)


@pytest.mark.real
def test_real_cap_ends_equal_the_published_counts(region: tuple[Path, dict], shared: Path) -> None:
    folder, tracks = region
    for strand, word in (("plus", "plus"), ("minus", "minus")):
        raw = pyBigWig.open(str(shared / f"real/yeast/STRIPE_{word}.bw"))
        scale = tracks[f"yeast_STRIPE_seq.{strand}"]["scale"][0]
        stored = values_of(folder / "CAGE", f"yeast_STRIPE_seq.{strand}", "chrIV") / scale
        expected = np.nan_to_num(raw.values("chrIV", 0, len(stored), numpy=True))
        # The published counts have no mapping-quality filter: ours are never above, and nearly as many.
        assert np.all(stored <= expected * (1 + 2.0**-7) + 1e-6)
        assert stored.sum() > 0.8 * expected.sum()


@pytest.mark.real
def test_real_alignments_equal_pysam(region: tuple[Path, dict], shared: Path) -> None:
    folder, tracks = region
    plus = values_of(folder / "RNA_SEQ", "GM12878_RNA_seq.plus", "chr22")
    raw = np.zeros(len(plus))
    for i, scale in enumerate(tracks["GM12878_RNA_seq.plus"]["scale"]):
        bam = pysam.AlignmentFile(str(shared / f"real/human_chr22/GM12878_RNA_rep{i + 1}.bam"))
        for read in bam.fetch(until_eof=True):
            if read.flag & 0xF04 or read.mapping_quality < 30:
                continue
            if read.is_read1 == read.is_reverse:
                for start, end in read.get_blocks():
                    raw[start:end] += scale
    raw[:16_000_000] = raw[18_000_000:] = 0
    assert close(plus, raw)


@pytest.mark.real
def test_real_contacts_equal_cooler(region: tuple[Path, dict], shared: Path) -> None:
    folder, _ = region
    matrix = cooler.Cooler(str(shared / "real/yeast/HiC.10kb.cool")).matrix(balance=True)
    stored = values_of(folder / "CONTACT_MAPS", "yeast_Hi_C", "chrII")
    raw = matrix.fetch("chrII")
    offsets = np.minimum(stored.shape[1], len(raw))
    band = np.full((len(raw), offsets), np.nan)
    for offset in range(offsets):
        band[: len(raw) - offset, offset] = np.diagonal(raw, offset)
    stored = stored[:, :offsets]
    assert np.array_equal(np.isnan(stored), np.isnan(band))
    for offset in (0, 1, 5, 20):
        known = ~np.isnan(band[:, offset])
        ratios = np.exp(stored[known, offset].astype(np.float64))
        # One constant per distance turns observed into the stored ratio: (x + eps) / (mean + eps).
        slope, intercept = np.polyfit(band[known, offset], ratios, 1)
        assert np.allclose(ratios, slope * band[known, offset] + intercept, rtol=1e-4)
        assert slope > 0 and intercept > 0


@pytest.mark.real
def test_real_cut_sites_are_the_ends_of_fragments(region: tuple[Path, dict], shared: Path) -> None:
    folder, tracks = region
    raw = pyBigWig.open(str(shared / "real/yeast/ATAC_cuts.bw"))
    stored = values_of(folder / "ATAC", "yeast_ATAC_seq", "chrII") / tracks["yeast_ATAC_seq"]["scale"][0]
    expected = np.nan_to_num(raw.values("chrII", 0, len(stored), numpy=True))
    assert np.mean(np.abs(stored - expected) > 0.02 * expected + 1e-6) < 1e-3


def test_files_are_opened_one_after_another_and_each_once(tmp_path: Path) -> None:
    import contextlib
    from collections.abc import Iterator, Mapping

    for number in range(3):
        write_bigwig(tmp_path / f"{number}.bw", values=(1.0, float(number)))
    rows = [row("RNA_SEQ", "Liver GTEx RNA-seq", ".", f"{number}.bw", "coverage") for number in range(3)]
    organism = made(tmp_path, rows)
    pin_part(organism, "RNA_SEQ", 0, 64, tmp_path / "slice.tsv")
    away = tmp_path / "portal"
    away.mkdir()
    for number in range(3):
        (tmp_path / f"{number}.bw").rename(away / f"{number}.bw")
    log: list[str] = []

    @contextlib.contextmanager
    def fetched(row: Mapping[str, str], prefix: str) -> Iterator[Path]:
        name = Path(row[f"{prefix}path"]).name
        log.append(f"+{name}")
        shutil.copy(away / name, tmp_path / name)
        yield tmp_path / name
        (tmp_path / name).unlink()
        log.append(f"-{name}")

    arguments = (tmp_path / "slice.tsv", tmp_path / "reference", tmp_path / "s", tmp_path / "r.json", SignalConfig())
    build_block(*arguments, organism, fetched)
    assert log == [f"{sign}{number}.bw" for number in range(3) for sign in "+-"]
    # Unstranded: each file to the total, then the mean.
    values = values_of(tmp_path / "s", "Liver_GTEx_RNA_seq", "chr1")
    assert close(values[10:15], np.full(5, 1e8 / 5 * np.mean([1, 1 / 2, 1 / 3])))
    assert close(values[20:25], np.full(5, 1e8 / 5 * np.mean([0, 1 / 2, 2 / 3])))
    assert not list((tmp_path / "s").glob(".sum*"))
    build_block(*arguments, organism, fetched)
    assert len(log) == 6, "nothing is fetched for a track that is unchanged"


def test_a_contact_map_of_a_multi_resolution_file_is_a_track(tmp_path: Path) -> None:
    from test_contact_maps import SIZES as MAPPED
    from test_contact_maps import write_mcool

    write_mcool(tmp_path / "a.mcool")
    fields = {
        "index": "0",
        "track_id": "hic",
        "bundle": "CONTACT_MAPS",
        "track": "hic",
        "strand": ".",
        "format": "mcool",
    }
    fields |= {
        "reading": "contacts",
        "path": "a.mcool",
        "bytes": "0",
        "sha256": "x",
        "pair_path": "",
        "control_path": "",
    }
    fields |= {name: "" for name in ("covered", "library", "sign", "assembly", "biosample", "ontology_curie", "assay")}
    fields |= {"target": "", "data_source": ""}
    (tmp_path / "slice.tsv").write_text("\t".join(fields) + "\n" + "\t".join(fields.values()) + "\n")
    organism = made(tmp_path, [row("CAGE", "t", ".", "a.mcool", "coverage")])
    write_json(tmp_path / "reference/reference.json", {"assembly": "made1", "sizes": MAPPED})

    import contextlib

    arguments = (tmp_path / "slice.tsv", tmp_path / "reference", tmp_path / "s", tmp_path / "r.json", SignalConfig())
    build_block(*arguments, organism, lambda row, prefix: contextlib.nullcontext(tmp_path / row[f"{prefix}path"]))
    track = json.loads((tmp_path / "r.json").read_text())["tracks"][0]
    assert (track["bin"], track["chromosomes"]["chr1"]["length"]) == (1000, 91)
    assert np.isnan(values_of(tmp_path / "s", "hic", "chr2")).any()
