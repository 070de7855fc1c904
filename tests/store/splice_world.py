"""Random genes and splicing tables, as the reference and splicing stages write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from megabase.artifacts import digest, write_json
from megabase.store.layout import write_groups


def write_annotation(folder: Path, sizes: Mapping[str, int], draw: np.random.Generator) -> pd.DataFrame:
    """`genes.parquet` and `exons.parquet`: overlapping genes of one or two transcripts; gives the exons."""
    genes, exons = [], []
    for chrom, size in sizes.items():
        for number in range(size // 1500 + 1):
            gene, strand = f"{chrom}.{number}", "+-"[int(draw.integers(2))]
            start = int(draw.integers(0, size - 1000))
            reach = min(int(draw.integers(900, 5000)), size - start)
            for transcript in range(int(draw.integers(1, 3))):
                for _ in range(int(draw.integers(1, 6))):
                    first = start + int(draw.integers(0, reach - 10))
                    last = min(first + int(draw.integers(10, 400)), start + reach)
                    exons.append((chrom, first, last, strand, gene, f"{gene}.{transcript}"))
            genes.append((chrom, start, start + reach, strand, gene, gene, "protein_coding"))
    columns = ["chrom", "start", "end", "strand", "gene_id"]
    tables = (
        ("genes", pd.DataFrame(genes, columns=[*columns, "gene_name", "gene_type"])),
        ("exons", pd.DataFrame(exons, columns=[*columns, "transcript_id"])),
    )
    for name, table in tables:
        table.sort_values(["chrom", "start", "end"], ignore_index=True).to_parquet(folder / f"{name}.parquet")
    return tables[1][1]


def write_splicing(store: Path, record: Path, sizes: Mapping[str, int], conditions: int, seed: int = 0) -> dict:
    """The splicing tables of a store, their group and record; gives the tables by name."""
    draw = np.random.default_rng(seed)
    found: dict[tuple[str, int, int, str], None] = {}
    for chrom, size in sizes.items():
        donors = draw.integers(50, size - 50, size // 250)
        for donor in donors:
            for _ in range(int(draw.integers(1, 4))):
                end = int(donor) + int(draw.integers(25, 1200))
                if end < size:
                    found[chrom, int(donor), end, "+-"[int(draw.integers(2))]] = None
    rows, places = [], {}
    for chrom, start, end, strand in found:
        donor, acceptor = (start - 1, end) if strand == "+" else (end, start - 1)
        places[chrom, donor, strand, "donor"] = places[chrom, acceptor, strand, "acceptor"] = None
        for track in draw.choice(conditions, int(draw.integers(1, conditions + 1)), replace=False):
            rows.append((chrom, start, end, strand, int(track), float(draw.gamma(1, 2))))
    sites = pd.DataFrame(list(places), columns=["chrom", "position", "strand", "kind"])
    sites = sites.sort_values(["chrom", "position", "strand", "kind"], ignore_index=True)
    sites.insert(0, "site_id", np.arange(len(sites)))
    used = [(site, track) for site in sites["site_id"] for track in range(conditions) if draw.random() < 0.7]
    usage = pd.DataFrame(used, columns=["site_id", "track"]).assign(value=draw.random(len(used)).astype(np.float32))
    junctions = pd.DataFrame(rows, columns=["chrom", "start", "end", "strand", "track", "count"])
    junctions = junctions.astype({"count": np.float32}).sort_values(["chrom", "start", "end", "strand", "track"])
    tables = {"sites": sites, "usage": usage, "junctions": junctions}
    content = digest({"seed": seed, "conditions": conditions})
    write_groups(store, "splicing", {"content": content})
    for name, table in tables.items():
        table.to_parquet(store / "splicing" / f"{name}.parquet", index=False)
    names = {f"tissue {i}": f"CL:tissue{i}" for i in range(conditions)}
    bundles: dict[str, list[dict[str, Any]]] = {
        "SPLICE_SITES": [{"track": kind, "strand": strand} for strand in "+-" for kind in ("donor", "acceptor")],
        "SPLICE_SITE_USAGE": [
            {"track": name, "strand": strand, "ontology_curie": term} for strand in "+-" for name, term in names.items()
        ],
        "SPLICE_JUNCTIONS": [{"track": name, "strand": ".", "ontology_curie": term} for name, term in names.items()],
    }
    described = [
        {"track": name, "track_id": name, "ontology_curie": term, "ssu_source": "STAR"} for name, term in names.items()
    ]
    write_json(record, {"content": content, "conditions": described, "bundles": bundles})
    return tables
