"""Answers of ENCODE's search, written by hand from its documented fields."""

from __future__ import annotations

import random
from typing import Any

NAMES = {"EFO:0002067": "K562", "EFO:0001187": "HepG2", "UBERON:0002107": "liver"}


def encode_file(accession: str, experiment: str, curie: str, assay: str, output: str, **more: Any) -> dict[str, Any]:
    ending = "bam" if output == "alignments" else "bigWig"
    return {
        "accession": accession,
        "dataset": f"/experiments/{experiment}/",
        "href": f"/files/{accession}/@@download/{accession}.{ending}",
        "md5sum": f"{int(accession[-3:], 36):032x}",
        "file_size": 100,
        "file_format": ending,
        "output_type": output,
        "assembly": "made1",
        "status": "released",
        "biological_replicates": [1],
        "technical_replicates": ["1_1"],
        "mapped_read_length": 76,
        "date_created": "2021-01-01",
        "assay_title": assay,
        "biosample_ontology": {"term_id": curie, "term_name": NAMES[curie]},
    } | more


PLUS, MINUS = "plus strand signal of unique reads", "minus strand signal of unique reads"
POLYA = "polyA plus RNA-seq"
FILES = [
    encode_file("ENCFF00001", "ENCSR1", "EFO:0002067", POLYA, PLUS),
    encode_file("ENCFF00002", "ENCSR1", "EFO:0002067", POLYA, MINUS),
    encode_file("ENCFF00003", "ENCSR2", "EFO:0001187", POLYA, PLUS),
    encode_file("ENCFF00004", "ENCSR2", "EFO:0001187", POLYA, MINUS),
    encode_file("ENCFF00005", "ENCSR3", "EFO:0001187", POLYA, PLUS),  # with a warning: ENCSR2 is preferred
    encode_file("ENCFF00006", "ENCSR3", "EFO:0001187", POLYA, MINUS),
    encode_file("ENCFF00007", "ENCSR4", "EFO:0001187", POLYA, PLUS),  # one strand only
    encode_file("ENCFF00008", "ENCSR5", "EFO:0002067", "TF ChIP-seq", "fold change over control", target="CTCF"),
    encode_file(
        "ENCFF00009", "ENCSR6", "EFO:0002067", "TF ChIP-seq", "fold change over control", target={"label": "GATA1"}
    ),
    encode_file("ENCFF00010", "ENCSR7", "EFO:0002067", "DNase-seq", "alignments"),
    encode_file("ENCFF00011", "ENCSR7", "EFO:0002067", "DNase-seq", "alignments", technical_replicates=["2_1"]),
    encode_file("ENCFF00012", "ENCSR8", "EFO:0002067", "DNase-seq", "alignments", status="revoked"),
]
EXPERIMENTS = [
    {"accession": f"ENCSR{number}", "status": "released", "simple_biosample_summary": ""} for number in range(1, 9)
]
EXPERIMENTS[2]["audit"] = {"WARNING": [{"category": "x"}]}  # type: ignore[assignment]


def search(files: list[dict[str, Any]] = FILES) -> Any:
    """A search that filters by what is asked, and answers in another order each time."""

    def page(query: list[tuple[str, str]]) -> tuple[int, Any]:
        asked: dict[str, list[str]] = {}
        for key, value in query:
            asked.setdefault(key, []).append(value)
        assert asked["format"] == ["json"] and asked["limit"] == ["all"]
        keys = ("assay_title", "output_type", "file_format", "assembly", "accession", "status")
        items = files if asked["type"] == ["File"] else EXPERIMENTS
        hits = [
            item
            for item in items
            if all(item.get(key, value) in asked[key] for key in keys for value in asked.get(key, [])[:1])
        ]
        random.shuffle(hits)
        return (200 if hits else 404), {"@graph": hits, "total": len(hits)}

    return page
