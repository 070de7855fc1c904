"""Tracks are checked against what they should be; what fails is named with the reason."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import zarr

from megabase.artifacts import write_json
from megabase.evaluation.quality import check_signal
from megabase.portals.sources import identifier

SIZES = {"chr1": 4000, "chr2": 2000, "chrY": 100}


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    folder = tmp_path / "reference"
    folder.mkdir()
    write_json(folder / "reference.json", {"assembly": "made1", "sizes": SIZES})
    genes = [("chr1", 1000, 1500, "+", "a"), ("chr1", 3000, 3400, "-", "b"), ("chr2", 50, 60, "+", "c")]
    table = pd.DataFrame(genes, columns=["chrom", "start", "end", "strand", "gene_id"])
    table.assign(gene_name="x", gene_type="y").to_parquet(folder / "genes.parquet")
    table.assign(transcript_id="t").to_parquet(folder / "exons.parquet")
    return folder


def write_track(signal: Path, bundle: str, track: str, strand: str, values: dict[str, np.ndarray]) -> dict:
    """Writes a track as the signal stage does, and gives its record."""
    track_id = identifier(track, strand)
    group = zarr.open_group(str(signal / bundle / f"{track_id}.zarr"), mode="w")
    chromosomes = {}
    for chrom, given in values.items():
        bits = given if bundle == "CONTACT_MAPS" else given.astype(ml_dtypes.bfloat16).view(np.uint16)
        group.create_array(chrom, shape=bits.shape, dtype=bits.dtype)[:] = bits
        known = np.isfinite(given) if bundle == "CONTACT_MAPS" else given != 0
        chromosomes[chrom] = {
            "length": len(given),
            "sum": float(np.nansum(given)),
            "nonzero": int(known.sum()),
        }
    total = sum(one["sum"] for one in chromosomes.values())
    nonzero = sum(one["nonzero"] for one in chromosomes.values())
    named = {"bundle": bundle, "track": track, "strand": strand, "track_id": track_id, "chromosomes": chromosomes}
    return named | {"total": total, "nonzero_mean": total / nonzero}


def made(*peaks: tuple[str, int, int, float]) -> dict[str, np.ndarray]:
    values = {chrom: np.zeros(size) for chrom, size in SIZES.items()}
    for chrom, start, end, height in peaks:
        values[chrom][start:end] = height
    return values


def checked(tmp_path: Path, reference: Path, bundle: str, tracks: list[dict], **more: object) -> dict[str, dict]:
    record = tmp_path / f"{bundle}.0000.json"
    record.write_text(json.dumps({"bundle": bundle, "block": "0000", "tracks": tracks}))
    out = tmp_path / "quality" / "human.tsv"
    check_signal([record], tmp_path / "signal", reference, out, 6000.0, **more)  # type: ignore[arg-type]
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [bool(row["fails"]) for row in rows] == sorted((bool(row["fails"]) for row in rows), reverse=True)
    return {row["track_id"]: row for row in rows}


def test_strands_of_a_pair_share_a_total_and_lie_on_their_genes(tmp_path: Path, reference: Path) -> None:
    signal = tmp_path / "signal"
    plus, minus = made(("chr1", 1000, 1500, 8), ("chr2", 50, 60, 40)), made(("chr1", 3000, 3400, 4))
    good = [write_track(signal, "RNA_SEQ", "good", *one) for one in (("+", plus), ("-", minus))]
    swapped = [write_track(signal, "RNA_SEQ", "swapped", *one) for one in (("+", minus), ("-", plus))]
    rows = checked(tmp_path, reference, "RNA_SEQ", [*good, *swapped])
    assert rows["good.plus"]["fails"] == "" == rows["good.plus"]["empty"].replace("chrY", "")
    assert float(rows["good.plus"]["sense"]) == 1 and float(rows["good.plus"]["total"]) == 6000
    assert "no signal on chr2" in rows["good.minus"]["fails"], "of the minus strand alone"
    assert rows["swapped.plus"]["fails"].endswith("0% of the signal on genes is on their strand: are strands swapped?")


def test_totals_and_means_against_the_release(tmp_path: Path, reference: Path) -> None:
    signal = tmp_path / "signal"
    right = write_track(signal, "DNASE", "K562 DNase-seq", ".", made(("chr1", 0, 1000, 4), ("chr2", 0, 500, 4)))
    wrong = write_track(signal, "DNASE", "HepG2 DNase-seq", ".", made(("chr1", 0, 1000, 4), ("chr2", 0, 500, 2)))
    columns = ["bundle", "track", "strand", "ontology_curie", "assay", "data_source", "target", "accession"]
    tracks = [
        ["DNASE", one["track"], ".", curie, "DNase-seq", "encode", "", ""]
        for one, curie in ((right, "EFO:1"), (wrong, "EFO:2"))
    ]
    own = tmp_path / "tracks.tsv"
    own.write_text("\n".join("\t".join(row) for row in [columns, *tracks]))
    released = tmp_path / "released.tsv"
    named = ["output_type", "name", "strand", "ontology_curie", "assay", "data_source", "nonzero_mean"]
    means = [["DNASE", "x", "unstranded", f"EFO:{n}", "DNase-seq", "encode", "1.5"] for n in (1, 2)]
    released.write_text("\n".join("\t".join(row) for row in [named, *means]))
    rows = checked(tmp_path, reference, "DNASE", [right, wrong], manifest=(own, released))
    assert rows[right["track_id"]]["fails"].startswith("the mean of non-zero values is 2.67 times the release's")
    assert rows[wrong["track_id"]]["fails"].startswith("the total is 5000, not 6000; the mean")
    assert float(rows[right["track_id"]]["zeros"]) == pytest.approx(1 - 1500 / 6100)
    assert rows[right["track_id"]]["empty"] == "chrY", "which many samples have none of"


def test_contact_maps_are_judged_within_their_chromosomes(tmp_path: Path, reference: Path) -> None:
    inside = np.array([[0.5, 0.1, 0.2], [0.5, 0.1, np.nan], [0.5, np.nan, np.nan]], np.float32)
    holes = np.full((3, 3), np.nan, np.float32)
    holes[0, 0] = 1
    signal = tmp_path / "signal"
    tracks = [
        write_track(signal, "CONTACT_MAPS", "full", ".", {"chr1": inside}),
        write_track(signal, "CONTACT_MAPS", "holes", ".", {"chr1": holes}),
    ]
    rows = checked(tmp_path, reference, "CONTACT_MAPS", tracks)
    assert rows["full"]["fails"] == "" and float(rows["full"]["missing"]) == 0
    assert rows["holes"]["fails"] == "83% of the map is missing"
