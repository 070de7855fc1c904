"""What the manifest makes of recorded answers: which files are one track, and what is known of them from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recorded_answers import MINUS, PLUS, POLYA, encode_file
from site_with_faults import Site

from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.portals import gtex
from megabase.portals.config import PortalsConfig, Query
from megabase.portals.http import Web
from megabase.portals.manifest import pin_part
from megabase.portals.query import write_sources
from megabase.portals.sources import SourceFile, read_sources

ORGANISM = Organism(
    index=0,
    assembly="made1",
    fasta="x",
    annotation="x",
    chromosomes=["chr1"],
    bundles={"RNA_SEQ": 5},
    sections=[[f"chr{number}"] for number in range(8)],
)
K562, HEPG2, LIVER = "EFO:0002067", "EFO:0001187", "UBERON:0002107"
BOTH = "signal of unique reads"


def served(site: Site, files: list[dict[str, Any]], experiments: list[dict[str, Any]]) -> list[list[tuple[str, str]]]:
    """Answers searches by type and by what a file must have (`=*`), and keeps the questions."""
    asked: list[list[tuple[str, str]]] = []

    def page(query: list[tuple[str, str]]) -> tuple[int, Any]:
        asked.append(query)
        if ("type", "Experiment") in query:
            return 200, {"@graph": experiments}
        hits = files
        for key, value in query:
            if value == "*":
                hits = [file for file in hits if file.get(key.split(".")[0])]
            if key in ("output_type", "file_format"):
                hits = [file for file in hits if (key, file[key]) in query]
        datasets = [value for key, value in query if key == "dataset"]
        hits = [file for file in hits if not datasets or file["dataset"] in datasets]
        return 200, {"@graph": hits}

    site.pages["/search/"] = page
    return asked


def experiment(accession: str, summary: str = "", **more: Any) -> dict[str, Any]:
    return {"accession": accession, "status": "released", "simple_biosample_summary": summary} | more


def answer(site: Site, web: Web, folder: Path, *queries: Query) -> list[SourceFile]:
    out = folder / "human.sources.tsv"
    write_sources("human", ORGANISM, queries, PortalsConfig(), out, {"encode": site.url}, web=web)
    return read_sources(out, folder / "raw")


def test_stranded_and_unstranded_experiments_are_different_tracks(site: Site, web: Web, tmp_path: Path) -> None:
    """The release has 26 biosamples with both kinds of one assay (paper section 1.3)."""
    files = [
        encode_file("ENCFF00001", "ENCSR1", K562, POLYA, BOTH),
        encode_file("ENCFF00002", "ENCSR2", K562, POLYA, PLUS),
        encode_file("ENCFF00003", "ENCSR2", K562, POLYA, MINUS),
        encode_file("ENCFF00004", "ENCSR3", LIVER, POLYA, PLUS),
        encode_file("ENCFF00005", "ENCSR3", LIVER, POLYA, MINUS),
    ]
    # The unstranded experiment would lose to the stranded one, were they one track.
    experiments = [experiment("ENCSR1", audit={"WARNING": [{"category": "x"}]}), *map(experiment, ("ENCSR2", "ENCSR3"))]
    served(site, files, experiments)
    sources = answer(site, web, tmp_path, Query(portal="encode", bundle="RNA_SEQ"))
    assert [(one.track, one.strand) for one in sources] == [
        ("K562 polyA plus RNA-seq", "+"),
        ("K562 polyA plus RNA-seq", "-"),
        ("liver polyA plus RNA-seq", "+"),
        ("liver polyA plus RNA-seq", "-"),
        ("K562 polyA plus RNA-seq unstranded", "."),
    ], "pairs first: parts have an even number of tracks, and no pair is divided between two"
    table = tmp_path / "human.sources.tsv"
    for part in range(3):
        pin_part(ORGANISM, "RNA_SEQ", part, 2, tmp_path / f"{part}.tsv", table, tmp_path / "raw")
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], lines[5], *lines[1:5]]))
    with pytest.raises(InputError, match="the strands of `K562 polyA plus RNA-seq` are divided between two parts"):
        pin_part(ORGANISM, "RNA_SEQ", 0, 2, tmp_path / "0.tsv", table, tmp_path / "raw")


def test_a_biosample_is_its_ontology_term(site: Site, web: Web, tmp_path: Path) -> None:
    term = {"term_id": K562, "term_name": "K-562"}
    files = [
        encode_file("ENCFF00001", "ENCSR1", K562, "ATAC-seq", "alignments"),
        encode_file("ENCFF00002", "ENCSR2", K562, "ATAC-seq", "alignments", biosample_ontology=term),
    ]
    served(site, files, [experiment("ENCSR1"), experiment("ENCSR2")])
    sources = answer(site, web, tmp_path, Query(portal="encode", bundle="ATAC"))
    assert {(one.track, one.biosample, one.ontology_curie) for one in sources} == {("K-562 ATAC-seq", "K-562", K562)}
    assert len(sources) == 2


def test_modified_samples_are_tracks_of_their_own(site: Site, web: Web, tmp_path: Path) -> None:
    """As in the release, where their names end in the portal's description of the sample."""
    words = "genetically modified (insertion) using CRISPR targeting H. sapiens CTCF"
    control = "fold change over control"
    files = [
        encode_file("ENCFF00001", "ENCSR1", K562, "TF ChIP-seq", control, target="CTCF", quality_metrics=[{"frip": 1}]),
        encode_file("ENCFF00002", "ENCSR2", K562, "TF ChIP-seq", control, target="CTCF", quality_metrics=[{"frip": 1}]),
    ]
    served(site, files, [experiment("ENCSR1"), experiment("ENCSR2", words)])
    sources = answer(site, web, tmp_path, Query(portal="encode", bundle="CHIP_TF"))
    assert [one.track for one in sources] == ["K562 CTCF TF ChIP-seq", f"K562 CTCF TF ChIP-seq {words}"]


def test_read_length_and_reads_in_peaks_are_those_of_the_experiment(site: Site, web: Web, tmp_path: Path) -> None:
    """bigWigs record neither: their experiment's alignments and peaks do."""
    control = "fold change over control"
    files = []
    for number, (length, fraction) in enumerate([(76, 0.02), (36, 0.5), (76, 0.005), (76, None)], 1):
        dataset, curie = f"ENCSR{number}", (K562, HEPG2, LIVER, K562)[number - 1]
        target = "MAX" if number == 4 else "CTCF"
        files += [
            encode_file(f"ENCFF0001{number}", dataset, curie, "TF ChIP-seq", control, target=target)
            | {"mapped_read_length": None},
            encode_file(f"ENCFF0002{number}", dataset, curie, "TF ChIP-seq", "alignments", mapped_read_length=length),
            encode_file(f"ENCFF0003{number}", dataset, curie, "TF ChIP-seq", "IDR thresholded peaks")
            | {"mapped_read_length": None, "quality_metrics": [{"frip": fraction}] if fraction else []},
        ]
    bad = {"audit": {"ERROR": [{"category": "extremely low read depth"}]}}
    asked = served(site, files, [experiment(f"ENCSR{number}", **bad) for number in range(1, 5)])
    sources = answer(site, web, tmp_path, Query(portal="encode", bundle="CHIP_TF"))
    # 1: enough reads in peaks outweigh the audit. 2: short reads. 3, 4: no, or unknown, reads in peaks.
    assert [one.accession for one in sources] == ["ENCFF00011"]
    needed = [key for query in asked for key, value in query if value == "*"]
    assert needed == ["mapped_read_length", "quality_metrics.frip"], "one question each, only where it is needed"
    loose = answer(site, web, tmp_path, Query(portal="encode", bundle="CHIP_TF", audited=False, without=["ENCFF00014"]))
    assert [one.accession for one in loose] == ["ENCFF00011"]


def test_experiments_can_be_named(site: Site, web: Web, tmp_path: Path) -> None:
    """As the six of PRO-cap: of each the best pair of files, in the order of the names."""
    strands = {"+": "plus strand signal of unique reads", "-": "minus strand signal of unique reads"}
    files = [
        encode_file(f"ENCFF000{number}{side}", f"ENCSR{number}", curie, "PRO-cap", strands["+-"[side]])
        for number, curie in ((1, K562), (2, HEPG2), (3, LIVER))
        for side in (0, 1)
    ]
    older = {"date_created": "2019-01-01"}
    files.append(encode_file("ENCFF00099", "ENCSR2", HEPG2, "PRO-cap", strands["+"]) | older)
    files.append(encode_file("ENCFF00098", "ENCSR2", HEPG2, "PRO-cap", "unidirectional peaks"))
    asked = served(site, files, [experiment(f"ENCSR{number}") for number in (1, 2, 3)])
    sources = answer(site, web, tmp_path, Query(portal="encode", bundle="PROCAP", accessions=["ENCSR2", "ENCSR1"]))
    assert [(one.track, one.strand, one.accession) for one in sources] == [
        ("HepG2 PRO-cap", "+", "ENCFF00020"),
        ("HepG2 PRO-cap", "-", "ENCFF00021"),
        ("K562 PRO-cap", "+", "ENCFF00010"),
        ("K562 PRO-cap", "-", "ENCFF00011"),
    ]
    assert [value for key, value in asked[0] if key == "dataset"] == ["/experiments/ENCSR2/", "/experiments/ENCSR1/"]
    with pytest.raises(InputError, match="no files of accession ENCSR9"):
        answer(site, web, tmp_path, Query(portal="encode", bundle="PROCAP", accessions=["ENCSR1", "ENCSR9"]))


def test_every_row_says_where_a_file_is_and_how_it_was_found(site: Site, web: Web, tmp_path: Path) -> None:
    files = [
        encode_file("ENCFF00001", "ENCSR1", K562, "ATAC-seq", "alignments")
        | {"s3_uri": "s3://encode-public/2021/01/01/x/ENCFF00001.bam", "quality_metrics": [{"frip": 0.4}]}
    ]
    served(site, files, [experiment("ENCSR1")])
    out = tmp_path / "human.sources.tsv"
    query = Query(portal="encode", bundle="ATAC")
    urls = {"encode": site.url}
    write_sources("human", ORGANISM, [query], PortalsConfig(prefer_s3=True), out, urls, web=web)
    (row,) = read_sources(out, tmp_path / "raw")
    assert row.url == "https://encode-public.s3.amazonaws.com/2021/01/01/x/ENCFF00001.bam"
    assert (row.accession, row.bytes, row.md5, row.portal) == ("ENCFF00001", "100", f"{1:032x}", "encode")
    for part in ("type=File", "status=released", "assembly=made1", "assay_title=ATAC-seq", "output_type=alignments"):
        assert part in row.query
    assert row.retrieved.startswith("20") and row.retrieved.endswith("+00:00")


ATTRIBUTES = (
    "SAMPID\tSMTSD\tSMUBRID\tSMAFRZE\n"
    "GTEX-1\tLiver\t0001114\tRNASEQ\n"
    "GTEX-2\tCells - Cultured fibroblasts\tEFO_0002009\tRNASEQ\n"
    "GTEX-3\tLiver\t0001114\tEXCLUDE\n"
    "GTEX-4\tLiver\t0001114\tRNASEQ\n"
)


def test_gtex_has_one_table_for_all_tissues(site: Site, web: Web, tmp_path: Path) -> None:
    site.files[f"/{gtex.ATTRIBUTES}"] = ATTRIBUTES.encode()
    site.files[f"/{gtex.JUNCTIONS}"] = b"12345"
    out = tmp_path / "human.sources.tsv"
    query = Query(portal="gtex", bundle="SPLICE_JUNCTIONS")
    write_sources("human", ORGANISM, [query], PortalsConfig(), out, {"gtex": site.url}, web=web)
    rows = read_sources(out, tmp_path / "raw")
    assert [(row.track, row.ontology_curie, row.samples) for row in rows] == [
        ("Cells - Cultured fibroblasts", "EFO:0002009", "GTEX-2"),
        ("Liver", "UBERON:0001114", "GTEX-1,GTEX-4"),
    ]
    assert {(row.file, row.reading, row.format, row.portal, row.bytes) for row in rows} == {
        (gtex.JUNCTIONS.rsplit("/", 1)[-1], "junction_table", "gct", "gtex", "5")
    }
