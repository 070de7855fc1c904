"""The source table and the manifest: every bad row says where it is and what to do."""

from __future__ import annotations

import csv
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from megabase.artifacts import file_sha256
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.portals import fetch, sources
from megabase.portals.fetch import checksum, verified_file
from megabase.portals.manifest import assemble_manifest, pin_part, read_table
from megabase.portals.naming import GTEX_ASSAY, track_name
from megabase.portals.sources import block_files, block_tracks, read_sources, tracks_of

HEADER = ["bundle", "track", "strand", "file", "format", "reading", "pair", "assembly", "sha256", "biosample"]
ROWS = [
    ["RNA_SEQ", "rna", "+", "a.bw", "bigWig", "coverage", "b.bw", "made1", "", "liver"],
    ["RNA_SEQ", "rna", "-", "b.bw", "bigWig", "coverage", "a.bw", "made1", "", "liver"],
    ["DNASE", "open one", ".", "c.bam", "BAM", "cut_sites", "", "", "", "liver"],
    ["DNASE", "open one", ".", "d.bam", "BAM", "cut_sites", "", "", "", "liver"],
    ["DNASE", "open:two", ".", "e.bam", "BAM", "cut_sites", "", "", "", "lung"],
]


def table(folder: Path, rows: list[list[str]] = ROWS, header: list[str] = HEADER) -> Path:
    path = folder / "sources.tsv"
    path.write_text("# a comment\n" + "\n".join("\t".join(row) for row in [header, *rows]) + "\n")
    return path


def organism(folder: Path, **bundles: int) -> Organism:
    return Organism(
        index=0,
        assembly="made1",
        fasta="x",
        annotation="x",
        chromosomes=["chr1"],
        sources=str(folder / "sources.tsv"),
        source_root=str(folder),
        bundles=bundles or {"RNA_SEQ": 2, "DNASE": 2},
        folds=[{"train": ["chr1"], "valid": [], "test": []}],
    )


def test_rows_become_tracks_in_order(tmp_path: Path) -> None:
    tracks = tracks_of(read_sources(table(tmp_path), tmp_path), "DNASE")
    assert [(track.track_id, len(track.files)) for track in tracks] == [("open_one", 2), ("open_two", 1)]
    assert [t.track_id for t in tracks_of(read_sources(table(tmp_path), tmp_path), "RNA_SEQ")] == [
        "rna.plus",
        "rna.minus",
    ]


def changed(row: int, column: str, value: str) -> list[list[str]]:
    rows = [list(values) for values in ROWS]
    rows[row][HEADER.index(column)] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (changed(2, "bundle", "DNAse"), r"row 5: unknown bundle `DNAse`; choose from ATAC, CAGE"),
        (changed(2, "strand", "x"), r"row 5: unknown strand `x`"),
        (changed(2, "reading", "coverages"), r"row 5: unknown reading"),
        (changed(0, "reading", "cut_sites"), r"row 3: `cut_sites` cannot be read from bigWig; it takes BAM"),
        (changed(3, "file", "c.bam"), r"row 6: duplicate track: c\.bam is listed twice for open one"),
        (changed(3, "biosample", "lung"), r"row 6: duplicate track: open one .* biosample `lung` here and `liver`"),
        (changed(4, "track", "open-one"), r"row 7: duplicate track: open-one and open one are both open_one"),
        ([ROWS[0][:5]], r"row 3: 5 fields, the header has 10"),
        ([], "no rows"),
    ],
)
def test_bad_rows_are_explained(tmp_path: Path, rows: list[list[str]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        tracks_of(read_sources(table(tmp_path, rows), tmp_path), "DNASE")


FULL = [*HEADER[:7], "control", "library"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("DNASE t . a.cool cool contacts - - -", "DNASE takes coverage, fold_change, five_prime, cut_sites"),
        ("CONTACT_MAPS t . a.bw bigWig coverage - - -", "CONTACT_MAPS takes contacts"),
        ("SPLICE_SITES t . a.bw bigWig coverage - - -", "no reading makes SPLICE_SITES"),
        ("CHIP_TF t . a.bw bigWig coverage - b.bw -", "a control is for the reading `fold_change`"),
        ("RNA_SEQ t + a.bw bigWig coverage - - forward", "a library is for the format `BAM`"),
        ("RNA_SEQ t + a.bw bigWig coverage ./a.bw - -", "a pair is the other strand's file"),
        ("RNA_SEQ t + a.bam BAM reads - - -", "RNA_SEQ takes coverage"),
        ("SPLICE_JUNCTIONS t . a.bam BAM coverage - - -", "SPLICE_JUNCTIONS takes reads, junction_counts"),
        ("SPLICE_SITE_USAGE t . a.bam BAM reads - - -", "no reading makes SPLICE_SITE_USAGE"),
    ],
)
def test_columns_that_contradict_each_other(tmp_path: Path, row: str, says: str) -> None:
    values = ["" if value == "-" else value for value in row.split()]
    with pytest.raises(InputError, match=rf"row 3: .* cannot be read as this row says; .*{says}"):
        read_sources(table(tmp_path, [values], FULL), tmp_path)


def test_a_portal_and_an_address_belong_together(tmp_path: Path) -> None:
    row = ["DNASE", "t", ".", "a.bam", "BAM", "cut_sites", "encode"]
    with pytest.raises(InputError, match="a file of a portal has both `portal` and `url`"):
        read_sources(table(tmp_path, [row], [*HEADER[:6], "portal"]), tmp_path)
    row[-1] = "elsewhere"
    with pytest.raises(InputError, match="unknown portal `elsewhere`"):
        read_sources(table(tmp_path, [row], [*HEADER[:6], "portal"]), tmp_path)


def test_readings_of_new_formats(tmp_path: Path) -> None:
    rows = [
        "CONTACT_MAPS t . a.mcool mcool contacts",
        "SPLICE_JUNCTIONS t . a.bam BAM reads",
        *(f"SPLICE_JUNCTIONS u . a.{name} recount3 junction_{name}" for name in ("counts", "ranges", "samples")),
    ]
    assert len(read_sources(table(tmp_path, [row.split() for row in rows], HEADER[:6]), tmp_path)) == 5


def test_names_of_tracks() -> None:
    assert track_name("DNASE", "K562", "DNase-seq") == "K562 DNase-seq"
    assert track_name("CHIP_TF", "K562", "TF ChIP-seq", "CTCF") == "K562 CTCF TF ChIP-seq"
    assert track_name("RNA_SEQ", "Liver", GTEX_ASSAY) == "Liver GTEx RNA-seq"
    assert track_name("SPLICE_JUNCTIONS", "K562", "polyA plus RNA-seq") == "K562"


def test_one_file_by_two_spellings_is_one_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 6: duplicate track: \./c\.bam is listed twice"):
        read_sources(table(tmp_path, changed(3, "file", "./c.bam")), tmp_path)


def test_what_spreadsheets_write(tmp_path: Path) -> None:
    written = table(tmp_path)
    written.write_bytes(b"\xef\xbb\xbf" + written.read_bytes().replace(b"\n", b"\r\n"))
    assert len(read_sources(written, tmp_path)) == len(ROWS)
    written.write_bytes("é".encode("latin-1"))
    with pytest.raises(InputError, match=r"cannot be read: .*save it as UTF-8"):
        read_sources(written, tmp_path)
    with pytest.raises(InputError, match=r"row 2: column `file` twice"):
        read_sources(table(tmp_path, [], [*HEADER, "file"]), tmp_path)


def test_a_table_that_changed_is_read_again(tmp_path: Path) -> None:
    table(tmp_path)
    before = block_tracks(organism(tmp_path), "DNASE", 0, 64)
    table(tmp_path, changed(4, "track", "open two"))  # as long as before, within the same clock tick
    after = block_tracks(organism(tmp_path), "DNASE", 0, 64)
    assert [before[1].track, after[1].track] == ["open:two", "open two"]


def test_a_large_table_is_taken_apart_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path, [["DNASE", f"t{i}", *ROWS[2][2:]] for i in range(200)])
    parsed = []
    rows = sources._rows
    monkeypatch.setattr(sources, "_rows", lambda *given: parsed.append(1) or rows(*given))
    files = [block_files(organism(tmp_path, DNASE=200), "DNASE", block, 10) for block in range(20)]
    assert len(files) == 20 and len(parsed) == 1


def test_real_tables_are_read(repo_root: Path) -> None:
    tables = sorted((repo_root / "config" / "region").glob("*.tsv"))
    assert tables
    for path in tables:
        assert read_sources(path, repo_root)


def test_the_table_is_read_without_heavy_packages() -> None:
    heavy = ["numpy", "pandas", "zarr", "jax", "pysam", "cooler", "pybedtools", "matplotlib", "requests"]
    modules = ", ".join(f"megabase.portals.{name}" for name in ("sources", "config", "naming"))
    code = f"import sys, {modules}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_bad_headers_are_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown column `bunble`; allowed: bundle"):
        read_sources(table(tmp_path, [], ["bunble"]), tmp_path)
    with pytest.raises(InputError, match="no column `reading`"):
        read_sources(table(tmp_path, [], HEADER[:5]), tmp_path)


def test_blocks_are_neighbours_and_counts_must_agree(tmp_path: Path) -> None:
    table(tmp_path)
    given = organism(tmp_path)
    assert [track.track_id for track in block_tracks(given, "DNASE", 1, 1)] == ["open_two"]
    assert block_files(given, "RNA_SEQ", 0, 64) == [str(tmp_path / "a.bw"), str(tmp_path / "b.bw")]
    with pytest.raises(InputError, match="2 tracks of DNASE, the config says 3; set organisms"):
        block_files(organism(tmp_path, DNASE=3), "DNASE", 0, 64)
    del given.bundles["DNASE"]
    with pytest.raises(InputError, match=r"row \d: DNASE `.*`: the config names no DNASE; set .* or to 0"):
        block_files(given, "RNA_SEQ", 0, 64)
    given.bundles["DNASE"] = 0
    assert len(block_files(given, "RNA_SEQ", 0, 64)) == 2


def test_a_slice_pins_every_file_and_keeps_its_time(tmp_path: Path) -> None:
    table(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.bw").write_text(name)
    out = tmp_path / "slice.tsv"
    pin_part(organism(tmp_path), "RNA_SEQ", 0, 64, out)
    first = read_table(out)[0]
    assert (first["sha256"], first["pair_sha256"]) == tuple(file_sha256(tmp_path / f"{name}.bw") for name in "ab")
    before = out.stat().st_mtime_ns
    pin_part(organism(tmp_path), "RNA_SEQ", 0, 64, out)
    assert out.stat().st_mtime_ns == before
    assemble_manifest([out], tmp_path / "files.tsv", tmp_path / "tracks.tsv")
    with open(tmp_path / "tracks.tsv") as file:
        assert [row["track_id"] for row in csv.DictReader(file, delimiter="\t")] == ["rna.plus", "rna.minus"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (changed(0, "assembly", "hg19"), r"row 3: wrong assembly: a\.bw is hg19, the organism is made1"),
        (changed(0, "sha256", "0" * 64), r"row 3: checksum mismatch: .*a\.bw has"),
        (changed(0, "file", "z.bw"), r"row 3: .*z\.bw does not exist"),
    ],
)
def test_files_that_cannot_be_pinned(tmp_path: Path, rows: list[list[str]], says: str) -> None:
    table(tmp_path, rows)
    for name in "ab":
        (tmp_path / f"{name}.bw").write_text(name)
    with pytest.raises(InputError, match=says):
        pin_part(organism(tmp_path), "RNA_SEQ", 0, 64, tmp_path / "slice.tsv")
    assert not (tmp_path / "slice.tsv").exists()


def test_a_missing_root_and_a_checksum_in_capitals(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.bw").write_text(name)
    table(tmp_path, changed(0, "sha256", file_sha256(tmp_path / "a.bw").upper()))
    pin_part(organism(tmp_path), "RNA_SEQ", 0, 64, tmp_path / "slice.tsv")
    moved = Organism(**vars_of(organism(tmp_path)) | {"source_root": str(tmp_path / "gone")})
    with pytest.raises(InputError, match=r"row 3: no folder .*gone; correct source_root"):
        pin_part(moved, "RNA_SEQ", 0, 64, tmp_path / "other.tsv")


def vars_of(given: Organism) -> dict:
    return {name: getattr(given, name) for name in Organism.__dataclass_fields__}


def test_long_hashing_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"abc" * 1000)
    monkeypatch.setattr(fetch, "_PIECE", 1024)
    with caplog.at_level(logging.INFO, logger=fetch.__name__):
        assert checksum(file) == file_sha256(file)
        assert not caplog.records
        monkeypatch.setattr(fetch, "_SECONDS_BETWEEN_LINES", 0.0)
        assert checksum(file) == file_sha256(file)
    assert len(caplog.records) == 3 and "hashed" in caplog.text


def test_a_file_that_changed_since_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.bw"
    file.write_text("one")
    pinned = (3, file_sha256(file))
    assert verified_file(file, *pinned, "slice row 1") == file
    file.write_text("two")
    with pytest.raises(InputError, match="slice row 1: checksum mismatch"):
        verified_file(file, *pinned, "slice row 1")
    file.write_text("three")
    with pytest.raises(InputError, match="size mismatch"):
        verified_file(file, *pinned, "slice row 1")
    file.unlink()
    with pytest.raises(InputError, match="is absent"):
        verified_file(file, *pinned, "slice row 1")
