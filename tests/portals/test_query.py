"""What portals answer becomes a source table: the same tracks in the same order, however they answer."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from recorded_answers import EXPERIMENTS, FILES, POLYA, encode_file, search
from site_with_faults import Site

from megabase.artifacts import file_sha256
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.portals.config import PortalsConfig, Query
from megabase.portals.fantom5 import Ontology
from megabase.portals.http import Web
from megabase.portals.manifest import pin_part, read_table
from megabase.portals.query import write_sources
from megabase.portals.sources import SourceFile, read_sources, tracks_of

ORGANISM = Organism(
    index=0,
    assembly="made1",
    fasta="x",
    annotation="x",
    chromosomes=["chr1"],
    bundles={"RNA_SEQ": 4},
    folds=[{"train": ["chr1"], "valid": [], "test": []}],
)


def asked(site: Site, web: Web, folder: Path, *queries: Query, **portals: Any) -> list[SourceFile]:
    out = folder / "manifest" / "human.sources.tsv"
    urls = dict.fromkeys(("encode", "fdn", "fantom5", "recount3"), site.url)
    write_sources("human", ORGANISM, queries, PortalsConfig(**portals), out, urls, web=web)
    return read_sources(out, folder / "raw")


RNA = Query(portal="encode", bundle="RNA_SEQ")


def test_encode_files_become_tracks_with_their_pairs(site: Site, web: Web, tmp_path: Path) -> None:
    site.pages["/search/"] = search()
    sources = asked(site, web, tmp_path, RNA)
    assert [(one.track, one.strand, one.file, one.pair) for one in sources] == [
        ("HepG2 polyA plus RNA-seq", "+", "ENCFF00003.bigWig", "ENCFF00004.bigWig"),
        ("HepG2 polyA plus RNA-seq", "-", "ENCFF00004.bigWig", "ENCFF00003.bigWig"),
        ("K562 polyA plus RNA-seq", "+", "ENCFF00001.bigWig", "ENCFF00002.bigWig"),
        ("K562 polyA plus RNA-seq", "-", "ENCFF00002.bigWig", "ENCFF00001.bigWig"),
    ]
    first = sources[0]
    assert (first.portal, first.url) == ("encode", "files/ENCFF00003/@@download/ENCFF00003.bigWig")
    assert (first.bytes, first.md5, first.assembly) == ("100", f"{3:032x}", "made1")
    assert "assay_title=polyA+plus+RNA-seq" in first.query and "127.0.0.1" not in first.query


def test_replicates_and_targets(site: Site, web: Web, tmp_path: Path) -> None:
    site.pages["/search/"] = search()
    queries = [Query(portal="encode", bundle="DNASE"), Query(portal="encode", bundle="CHIP_TF")]
    sources = asked(site, web, tmp_path, *queries)
    assert [one.track for one in tracks_of(sources, "CHIP_TF")] == ["K562 CTCF TF ChIP-seq", "K562 GATA1 TF ChIP-seq"]
    dnase = tracks_of(sources, "DNASE")
    assert [[one.file for one in track.files] for track in dnase] == [["ENCFF00010.bam", "ENCFF00011.bam"]]


def test_the_order_is_the_querys(site: Site, web: Web, tmp_path: Path) -> None:
    site.pages["/search/"] = search()
    tables = set()
    for _ in range(4):
        asked(site, web, tmp_path, RNA)
        tables.add((tmp_path / "manifest" / "human.sources.tsv").read_text())
    assert len(tables) == 1  # the portal shuffles, and time passes
    named = Query(portal="encode", bundle="RNA_SEQ", biosamples=["K562", "EFO:0001187"])
    assert [one.biosample for one in asked(site, web, tmp_path, named)] == ["K562", "K562", "HepG2", "HepG2"]
    pinned = Query(portal="encode", bundle="DNASE", accessions=["ENCFF00011", "ENCFF00010"])
    assert [one.accession for one in asked(site, web, tmp_path, pinned)] == ["ENCFF00011", "ENCFF00010"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"bundle": "ATAC"}, r"queries\[0\] \(encode, ATAC\): no files; loosen the query \(the portal has none\)"),
        ({"bundle": "DNASE", "biosamples": ["K562", "lung"]}, "no files of biosample lung"),
        ({"bundle": "CHIP_TF", "targets": ["CTCF", "SPI1"]}, "no files of target SPI1"),
        ({"bundle": "DNASE", "accessions": ["ENCFF00010", "ENCFF00099"]}, "no files of accession ENCFF00099"),
        ({"bundle": "DNASE", "accessions": ["ENCFF00012"]}, "ENCFF00012 is revoked; pin another file"),
        ({"bundle": "DNASE", "min_read_length": 99}, "2 left out: reads shorter than 99 bp"),
        ({"bundle": "RNA_SEQ", "accessions": ["ENCFF00001"]}, "ENCFF00001 has no file of the other strand"),
    ],
)
def test_questions_without_an_answer(site: Site, web: Web, tmp_path: Path, query: dict, says: str) -> None:
    site.pages["/search/"] = search()
    with pytest.raises(InputError, match=says):
        asked(site, web, tmp_path, Query(portal="encode", **query))


def test_the_same_track_is_asked_for_once(site: Site, web: Web, tmp_path: Path) -> None:
    site.pages["/search/"] = search()
    with pytest.raises(InputError, match=r"queries\[1\] .*: HepG2  polyA plus RNA-seq is found by queries\[0\] too"):
        asked(site, web, tmp_path, RNA, RNA)


def test_the_bucket_instead_of_the_portal(site: Site, web: Web, tmp_path: Path) -> None:
    stored = [file | {"s3_uri": f"s3://encode-public/2021/{file['accession']}"} for file in FILES]
    site.pages["/search/"] = search(stored)
    urls = [one.url for one in asked(site, web, tmp_path, Query(portal="encode", bundle="DNASE"), prefer_s3=True)]
    assert urls[0] == "https://encode-public.s3.amazonaws.com/2021/ENCFF00010"


def test_rows_keep_the_day_they_were_first_seen(site: Site, web: Web, tmp_path: Path) -> None:
    out = tmp_path / "manifest" / "human.sources.tsv"
    site.pages["/search/"] = search()
    asked(site, web, tmp_path, RNA)
    out.write_text(out.read_text().replace("\t20", "\t19"))  # as if it had been long ago
    old = {one.file: one.retrieved for one in read_sources(out, tmp_path)}
    site.pages["/search/"] = search(
        [file | {"file_size": 101} if "00003" in file["accession"] else file for file in FILES]
    )
    new = {one.file: one.retrieved for one in asked(site, web, tmp_path, RNA)}
    assert {name for name in new if new[name] != old[name]} == {"ENCFF00003.bigWig"}


def test_slices_hold_what_a_job_needs_and_no_time(site: Site, web: Web, tmp_path: Path) -> None:
    site.pages["/search/"] = search()
    asked(site, web, tmp_path, RNA)
    table, raw, out = tmp_path / "manifest" / "human.sources.tsv", tmp_path / "raw", tmp_path / "slice.tsv"
    pin_part(ORGANISM, "RNA_SEQ", 0, 64, out, table, raw)
    row = read_table(out)[0]
    assert row["path"] == str(raw / "ENCFF00003.bigWig") and row["pair_path"] == str(raw / "ENCFF00004.bigWig")
    assert (row["pair_url"], row["pair_md5"]) == ("files/ENCFF00004/@@download/ENCFF00004.bigWig", f"{4:032x}")
    assert "retrieved" not in row and "query" not in row
    before = file_sha256(out)
    table.write_text(table.read_text().replace("\t20", "\t19"))
    pin_part(ORGANISM, "RNA_SEQ", 0, 64, out, table, raw)
    assert file_sha256(out) == before
    table.write_text("\n".join(line for line in table.read_text().splitlines() if "\t-\t" not in line))
    few = Organism(
        **{name: getattr(ORGANISM, name) for name in ORGANISM.__dataclass_fields__} | {"bundles": {"RNA_SEQ": 2}}
    )
    with pytest.raises(InputError, match=r"no row of encode for ENCFF00004\.bigWig"):
        pin_part(few, "RNA_SEQ", 0, 64, out, table, raw)


def fdn_file(accession: str, size: int, **more: Any) -> dict[str, Any]:
    term = {"term_id": "EFO:0002067"}
    biosource = {"biosource": [{"biosource_name": "K562", "cell_line": term}]}
    return {
        "accession": accession,
        "href": f"/files-processed/{accession}/@@download/{accession}.mcool",
        "md5sum": "ab",
        "file_size": size,
        "genome_assembly": "made1",
        "track_and_facet_info": {"biosource_name": "K562", "experiment_type": "in situ Hi-C"},
        "experiments": [{"biosample": biosource}],
    } | more


def test_contact_maps_are_tracks_of_their_own(site: Site, web: Web, tmp_path: Path) -> None:
    listed = [
        fdn_file("4DNFIB", 8_000_000_000),
        fdn_file("4DNFIA", 9_000_000_000, open_data_url="https://bucket/4DNFIA.mcool"),
        fdn_file("4DNFIC", 7_000_000_000),
        fdn_file("4DNFID", 9_000_000_000, genome_assembly="other"),
    ]
    site.pages["/search/"] = lambda query: (200, {"@graph": listed})
    sources = asked(site, web, tmp_path, Query(portal="fdn", bundle="CONTACT_MAPS"))
    assert [(one.track, one.url) for one in sources] == [
        ("K562 in situ Hi-C 4DNFIA", "https://bucket/4DNFIA.mcool"),
        ("K562 in situ Hi-C 4DNFIB", "files-processed/4DNFIB/@@download/4DNFIB.mcool"),
    ]
    assert sources[0].ontology_curie == "EFO:0002067" and sources[0].reading == "contacts"


OBO = """[Term]
id: FF:10824-111C5
name: K562, biol_rep1
is_a: FF:0000101 ! sample
relationship: derives_from EFO:0002067 ! K562

[Term]
id: FF:0000101
is_a: UBERON:0000001 ! far away

[Typedef]
id: derives_from
name: no sample
"""


def test_fantom_names_are_encoded_once_more(site: Site, web: Web, tmp_path: Path) -> None:
    folder = "/reprocessed/made1_v9/basic/human.cell_line.hCAGE"
    name = "K562%2c%20biol_rep1.CNhs12334.10824-111C5.made1.nobarcode.ctss.bed.gz"  # on the disk, as it is
    hidden = "K562%2c%20treated%20with%20hemin.CNhs12458.10824-111C5.made1.nobarcode.ctss.bed.gz"
    sheeted = "K562%20x.CNhs12459.10824-111C5.made1.nobarcode.ctss.bed.gz"
    links = [one.replace("%", "%25") for one in (sheeted, hidden, name)]
    links += ["00_human.assay_sdrf.txt", "?C=N;O=D", "/reprocessed/", "other.bam"]
    site.files[f"{folder}/"] = "".join(f'<a href="{link}">cut..&gt;</a>' for link in links).encode()
    site.files[f"{folder}/00_human.assay_sdrf.txt"] = (
        b"Library\tCharacteristics [description]\nCNhs12459\ttreated with hemin\nCNhs12334\tnone\n"
    )
    site.files[f"{folder}/{links[2]}"] = b"12345"
    site.files["/latest/extra/Ontology/ff-phase2-170801.obo.txt"] = OBO.encode()
    sources = asked(site, web, tmp_path, Query(portal="fantom5", bundle="CAGE"))
    assert [(one.track, one.strand, one.ontology_curie) for one in sources] == [
        ("K562 hCAGE", "+", "EFO:0002067"),
        ("K562 hCAGE", "-", "EFO:0002067"),
    ]
    assert sources[0].url == f"{folder[1:]}/{name.replace('%', '%25')}"
    assert (sources[0].bytes, sources[0].md5) == ("5", "")
    assert not any("timecourse" in path for path, _ in site.requests)
    del site.files[f"{folder}/00_human.assay_sdrf.txt"]
    site.files[f"{folder}/"] = f'<a href="{links[2]}">'.encode()
    with pytest.raises(InputError, match="no sample sheet"):
        asked(site, web, tmp_path, Query(portal="fantom5", bundle="CAGE"))


def test_samples_are_of_their_nearest_source() -> None:
    ontology = Ontology(OBO)
    assert ontology.source("FF:10824-111C5") == "EFO:0002067" and ontology.names["EFO:0002067"] == "K562"
    assert ontology.source("FF:unknown") == ""


METADATA = (
    "rail_id\texternal_id\tSMTSD\tSMUBRID\tSMAFRZE\n"
    "11\tGTEX-1-SM-5GZZ7.1\tBrain - Cortex\t0001870\tRNASEQ\n"
    "12\tGTEX-2-SM-5EGHK.1\tBrain - Cortex\t0001870\tEXCLUDE\n"
    "13\tGTEX-3-SM-5EGH8.1\tBrain - Cerebellum\t0002037\tRNASEQ\n"
    "14\tGTEX-4-SM-5N9C6.1\tBrain - Cortex\t0001870\tRNASEQ\n"
)


def test_a_project_of_several_tissues(site: Site, web: Web, tmp_path: Path) -> None:
    site.files["/human/data_sources/gtex/metadata/IN/BRAIN/gtex.gtex.BRAIN.MD.gz"] = gzip.compress(METADATA.encode())
    queries = [
        Query(portal="recount3", bundle=bundle, projects=["BRAIN"], sizes=False)
        for bundle in ("RNA_SEQ", "SPLICE_JUNCTIONS")
    ]
    sources = asked(site, web, tmp_path, *queries)
    coverage = tracks_of(sources, "RNA_SEQ")
    assert [(one.track, len(one.files)) for one in coverage] == [
        ("Brain - Cortex GTEx RNA-seq", 2),
        ("Brain - Cerebellum GTEx RNA-seq", 1),
    ]
    file = coverage[0].files[0]
    assert file.url == ("human/data_sources/gtex/base_sums/IN/BRAIN/Z7/gtex.base_sums.BRAIN_GTEX-1-SM-5GZZ7.1.ALL.bw")
    junctions = tracks_of(sources, "SPLICE_JUNCTIONS")
    assert [one.track for one in junctions] == ["Brain - Cortex", "Brain - Cerebellum"]
    readings = ["junction_counts", "junction_ranges", "junction_samples"]
    assert [one.reading for one in junctions[0].files] == readings
    assert [one.samples for one in junctions[0].files] == ["", "", "11,14"]
    assert coverage[0].metadata["ontology_curie"] == "UBERON:0001870"
    unnamed = METADATA.replace("0001870", "")
    site.files["/human/data_sources/gtex/metadata/IN/BRAIN/gtex.gtex.BRAIN.MD.gz"] = unnamed.encode()
    with pytest.raises(InputError, match=r"no ontology term for `Brain - Cortex` .*; add `curies"):
        asked(site, web, tmp_path, queries[0])
    with pytest.raises(InputError, match=r"LUNG.*correct `projects`"):
        asked(site, web, tmp_path, Query(portal="recount3", bundle="RNA_SEQ", projects=["LUNG"]))


def test_conditions_of_one_biosample_are_told_apart_by_assay(site: Site, web: Web, tmp_path: Path) -> None:
    files = [
        encode_file("ENCFF00001", "ENCSR1", "EFO:0002067", POLYA, "alignments"),
        encode_file("ENCFF00002", "ENCSR2", "EFO:0002067", "total RNA-seq", "alignments"),
        encode_file("ENCFF00003", "ENCSR4", "EFO:0001187", POLYA, "alignments"),
    ]
    site.pages["/search/"] = lambda query: (200, {"@graph": files if ("type", "File") in query else EXPERIMENTS})
    sources = asked(site, web, tmp_path, Query(portal="encode", bundle="SPLICE_JUNCTIONS"))
    assert [one.track for one in sources] == ["HepG2", "K562 polyA plus RNA-seq", "K562 total RNA-seq"]
