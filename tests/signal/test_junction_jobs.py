"""STAR finds the junctions that reads were made of; a block of conditions becomes the tables of a store."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
from splicing_world import GENES, SIZES, write_alignments, write_reference
from test_junction_counts import write_tables

from megabase.artifacts import file_sha256
from megabase.artifacts.tables import table_content
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.signal.splicing import star
from megabase.signal.splicing.align import align, build_index
from megabase.signal.splicing.build import count_junctions
from megabase.signal.splicing.config import SplicingConfig
from megabase.signal.splicing.junctions import PLACE, star_junctions
from megabase.store.layout import found_contents
from megabase.store.splicing_writer import write_splicing

CONFIG = SplicingConfig(sjdb_overhang=59)
SKIP = SplicingConfig(star="skip", median_above=0.0)
TRUE = sorted(
    (chrom, parts[a][1], parts[b][0], strand)
    for gene, (chrom, strand, parts) in GENES.items()
    for a in range(len(parts))
    for b in range(a + 1, len(parts))
    if b == a + 1 or gene == "cassette"
)
FIELDS = ["index", "track_id", "bundle", "track", "strand", "format", "reading", "assembly", "biosample"]
FIELDS += ["ontology_curie", "assay", "target", "data_source", "path", "bytes", "sha256", "pair_path", "control_path"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference, two samples of one condition, and one of another."""
    folder = tmp_path_factory.mktemp("splicing")
    genome = write_reference(folder / "reference")
    for seed, name in enumerate(("a1", "a2", "b1")):
        write_alignments(folder / f"{name}.bam", genome, seed, fragments=400)
    places = [place for place in TRUE if place[0] == "chr1"]
    counts = np.random.default_rng(5).integers(5, 30, (len(places), 6))
    write_tables(folder, counts, places)
    return folder


@pytest.fixture(scope="module")
def index(world: Path) -> Path:
    try:
        star.find_star()
    except InputError as error:
        pytest.skip(f"no STAR: {error}")
    build_index(world / "reference", world / "index", CONFIG, threads=2)
    return world / "index"


def true_fragments(bam: Path) -> Counter[tuple[str, int, int]]:
    """Fragments over each intron, of the alignments the reads were made with."""
    found: dict[tuple[str, int, int], set[str]] = {}
    with pysam.AlignmentFile(str(bam)) as file:
        for read in file.fetch(until_eof=True):
            place = read.reference_start
            for operation, length in read.cigartuples:
                if operation == 3:
                    found.setdefault((read.reference_name, place, place + length), set()).add(read.query_name)
                place += length
    return Counter({place: len(names) for place, names in found.items()})


def test_star_finds_the_junctions_that_reads_were_made_of(world: Path, index: Path, tmp_path: Path) -> None:
    tables = []
    for number, threads in enumerate((1, 2)):
        (tmp_path / str(number)).mkdir()
        aligned = align(world / "a1.bam", index, tmp_path / str(number), CONFIG, threads)
        tables.append(star_junctions(aligned.junctions))
    assert tables[0].equals(tables[1]), "equal reads give equal counts"
    assert sorted(tables[0][PLACE].itertuples(index=False, name=None)) == TRUE
    expected = true_fragments(world / "a1.bam")
    for chrom, start, end, _, reads in tables[0].itertuples(index=False):
        assert reads == pytest.approx(expected[chrom, start, end], abs=3)
    assert not list((tmp_path / "0").glob("*.fq")) and not (tmp_path / "0/collated.bam").exists()
    with pysam.AlignmentFile(str(tmp_path / "0/Aligned.out.bam")) as bam:
        primary = [read for read in bam.fetch(until_eof=True) if not read.is_secondary]
    assert len(primary) == 800, "every read once"


def test_single_reads_are_aligned_too(world: Path, index: Path, tmp_path: Path) -> None:
    bam = pysam.AlignmentFile(str(world / "a1.bam"))
    with bam, pysam.AlignmentFile(str(tmp_path / "single.bam"), "wb", header=bam.header) as out:
        for read in bam.fetch(until_eof=True):
            if read.is_read1:
                read.flag &= 0x10 | 0x100
                out.write(read)
    (tmp_path / "out").mkdir()
    aligned = align(tmp_path / "single.bam", index, tmp_path / "out", CONFIG)
    assert sorted(star_junctions(aligned.junctions)[PLACE].itertuples(index=False, name=None)) == TRUE
    with (
        pysam.AlignmentFile(str(tmp_path / "single.bam")) as bam,
        pysam.AlignmentFile(str(tmp_path / "empty.bam"), "wb", header=bam.header),
    ):
        pass
    with pytest.raises(InputError, match=r"empty\.bam: no reads"):
        align(tmp_path / "empty.bam", index, tmp_path / "out", CONFIG)


def test_a_missing_star_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(star, "_UNPACKED", tmp_path / "none")
    with pytest.raises(InputError, match=r"STAR: not found on PATH nor in \.tools/usr; run `make setup`"):
        star.find_star()


def write_slice(world: Path, out: Path, tracks: dict[str, list[str]]) -> Path:
    readings = {"MM": "junction_counts", "RR": "junction_ranges", "ID": "junction_samples"}
    rows = []
    for number, (track, files) in enumerate(tracks.items()):
        for name in files:
            path, reading = world / name, readings.get(name.split(".")[-2], "reads")
            given = {"index": number, "track_id": track, "bundle": "SPLICE_JUNCTIONS", "track": track, "strand": "."}
            given |= {"format": "BAM" if reading == "reads" else "recount3", "reading": reading, "biosample": track}
            given |= {"path": path, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
            rows.append(given)
    pd.DataFrame(rows, columns=FIELDS).to_csv(out, sep="\t", index=False)
    return out


TABLE_FILES = [f"gtex.junctions.LIVER.ALL.{kind}.gz" for kind in ("MM", "RR", "ID")]


def counted(world: Path, out: Path, tracks: dict[str, list[str]], config: SplicingConfig, **given: object) -> dict:
    out.mkdir(exist_ok=True)
    plain = {"index": 0, "assembly": "made1", "fasta": "x", "annotation": "x", "chromosomes": list(SIZES)}
    plain |= {"sources": "x", "bundles": {}, "folds": [{"train": ["chr1"], "valid": [], "test": []}]}
    arguments = [write_slice(world, out / "slice.tsv", tracks), world / "reference", given.get("index")]
    arguments += [out / "signal", out / "SPLICE_JUNCTIONS.0000.json", config, Organism(**plain)]
    count_junctions(*arguments)
    return json.loads((out / "SPLICE_JUNCTIONS.0000.json").read_text())


def test_aligned_samples_become_a_condition(world: Path, index: Path, tmp_path: Path) -> None:
    record = counted(world, tmp_path, {"A": ["a1.bam", "a2.bam"]}, CONFIG, index=index)
    assert (record["bundle"], record["block"]) == ("SPLICE_JUNCTIONS", "0000")
    assert record["tracks"][0]["ssu_source"] == "STAR" and record["tracks"][0]["samples"] == 2
    junctions = pd.read_parquet(tmp_path / "signal/A.junctions.parquet")
    assert sorted(junctions[PLACE].itertuples(index=False, name=None)) == TRUE
    reads = junctions[["reads_0", "reads_1"]].to_numpy()
    assert np.allclose(junctions["count"], (reads / reads.sum(axis=0) * 1e6).mean(axis=1))
    usage = pd.read_parquet(tmp_path / "signal/A.usage.parquet").set_index(["position", "kind"])["value"]
    # Both ends of the exon that 40 % of the transcripts lack; the donor before it is used by all.
    assert usage[10_200, "acceptor"] == pytest.approx(0.6, abs=0.12)
    assert usage[10_319, "donor"] == pytest.approx(0.6, abs=0.12)
    assert usage[9299, "donor"] > 0.97 and usage[17_300, "donor"] > 0.97
    assert not list((tmp_path / "signal").glob(".star*"))


def test_a_condition_is_made_again_only_if_it_changed(world: Path, tmp_path: Path) -> None:
    counted(world, tmp_path, {"A": ["a1.bam"], "B": ["b1.bam"]}, SKIP)
    noted = {name: (tmp_path / f"signal/{name}.json") for name in "AB"}
    times = {name: path.stat().st_mtime_ns for name, path in noted.items()}
    record = counted(world, tmp_path, {"A": ["a1.bam"], "B": ["b1.bam", "a2.bam"]}, SKIP)
    after = {name: path.stat().st_mtime_ns for name, path in noted.items()}
    assert after["A"] == times["A"] and after["B"] > times["B"] and record["tracks"][0]["ssu_source"] == "alignments"
    path = tmp_path / "signal/A.usage.parquet"
    pd.read_parquet(path).assign(value=0.5).to_parquet(path)
    with pytest.raises(InputError, match=r"A\.usage\.parquet: not the table of its record"):
        write_splicing([tmp_path / "SPLICE_JUNCTIONS.0000.json"], tmp_path / "signal", tmp_path / "s", tmp_path / "r")
    counted(world, tmp_path, {"A": ["a1.bam"], "B": ["b1.bam", "a2.bam"]}, SKIP)
    assert noted["A"].stat().st_mtime_ns > after["A"] and noted["B"].stat().st_mtime_ns == after["B"]
    with pytest.raises(InputError, match=r"no index of STAR; build it, or set splicing\.star: skip"):
        counted(world, tmp_path, {"A": ["a1.bam"]}, CONFIG)
    with pytest.raises(InputError, match="do not make a junction table; give one file each of junction_counts"):
        counted(world, tmp_path, {"L": TABLE_FILES[:2]}, SKIP)


def written(out: Path) -> tuple[dict, dict[str, pd.DataFrame]]:
    arguments = ([out / "SPLICE_JUNCTIONS.0000.json"], out / "signal", out / "store", out / "splicing.json")
    write_splicing(*arguments)
    tables = {name: pd.read_parquet(out / f"store/splicing/{name}.parquet") for name in ("sites", "usage", "junctions")}
    return json.loads((out / "splicing.json").read_text()), tables


def test_conditions_become_the_tables_of_a_store(world: Path, tmp_path: Path) -> None:
    tracks = {"A": ["a1.bam", "a2.bam"], "Liver": TABLE_FILES, "B": ["b1.bam"]}
    counted(world, tmp_path, tracks, SKIP)
    record, tables = written(tmp_path)
    assert [row["track"] for row in record["conditions"]] == list(tracks)
    assert [row["ssu_source"] for row in record["conditions"]] == ["alignments", "recount3", "alignments"]
    assert [len(record["bundles"][name]) for name in record["bundles"]] == [3, 4, 6]  # in order of name
    usage_rows = [(row["track"], row["strand"]) for row in record["bundles"]["SPLICE_SITE_USAGE"]]
    assert usage_rows == [(track, strand) for strand in "+-" for track in tracks]
    junctions = tables["junctions"]
    # The junction table knows chr1 only, and so do the others now.
    assert {place for place in junctions[PLACE].itertuples(index=False, name=None)} == {
        t for t in TRUE if t[0] == "chr1"
    }
    assert junctions.equals(junctions.sort_values([*PLACE, "track"], ignore_index=True))
    for number, track in enumerate(tracks):
        counts = junctions[junctions["track"] == number].set_index(PLACE)["count"]
        assert counts.dtype == np.float32 and counts.mean() == pytest.approx(1, rel=1e-6)
        raw = pd.read_parquet(tmp_path / f"signal/{track}.junctions.parquet").set_index(PLACE).loc[counts.index]
        reads = raw.filter(like="reads_").to_numpy()
        kept = (reads / reads.sum(axis=0) * 1e6).mean(axis=1) if track != "Liver" else raw["count"].to_numpy()
        clipped = np.minimum(kept, np.percentile(kept, 99.99))
        assert np.allclose(counts, clipped / clipped.mean(), rtol=1e-6)
    sites = tables["sites"]
    expected = set()
    for chrom, start, end, strand in (place for place in TRUE if place[0] == "chr1"):
        donor, acceptor = (start - 1, end) if strand == "+" else (end, start - 1)
        expected |= {(chrom, donor, strand, "donor"), (chrom, acceptor, strand, "acceptor")}
    assert set(sites.drop(columns="site_id").itertuples(index=False, name=None)) == expected
    assert list(sites["site_id"]) == list(range(len(sites))) and list(sites["position"]) == sorted(sites["position"])
    usage = tables["usage"]
    assert set(usage["track"]) == {0, 1, 2} and usage["value"].between(0, 1).all()
    assert usage.equals(usage.sort_values(["site_id", "track"], ignore_index=True))
    again, _ = written(tmp_path)
    assert again["content"] == record["content"] == found_contents(tmp_path / "store", ["splicing"])["splicing"]


def test_without_tables_the_median_sample_decides(world: Path, tmp_path: Path) -> None:
    config = SplicingConfig(star="skip", median_above=20.0)
    counted(world, tmp_path, {"A": ["a1.bam", "a2.bam"], "B": ["b1.bam"]}, config)
    _, tables = written(tmp_path)
    for number, track in enumerate("AB"):
        raw = pd.read_parquet(tmp_path / f"signal/{track}.junctions.parquet")
        kept = raw[np.median(raw.filter(like="reads_"), axis=1) > 20]
        found = tables["junctions"].loc[tables["junctions"]["track"] == number, PLACE]
        assert 0 < len(kept) < len(raw)
        assert found.to_numpy().tolist() == kept[PLACE].to_numpy().tolist()
    counted(world, tmp_path, {"A": ["a1.bam"]}, SplicingConfig(star="skip", median_above=1e6))
    with pytest.raises(InputError, match=r"no junction of A passes the filters; lower splicing\.median_above"):
        written(tmp_path)
    assert not (tmp_path / "splicing.json").exists()


def test_the_content_of_a_table_is_its_values() -> None:
    table = pd.DataFrame({"chrom": ["chr1", "chr2"], "value": [1.0, 2.0]})
    assert table_content(table) == table_content(table.copy())
    others = [
        table.assign(value=[1.0, 2.5]),
        table[["value", "chrom"]],
        table.assign(chrom=["chr1", "chr3"]),
        table[:1],
    ]
    assert len({table_content(other) for other in [table, *others]}) == 5
