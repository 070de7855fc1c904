"""A made reference of two chromosomes and a tiny model of every output type, with random weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyfaidx
from flax import nnx

from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.spec import ModelConfig, head_specs
from megabase.model.weights import export

WINDOW = 4096
SIZES = {"chr1": 9000, "chr2": 3000}
NETWORK = NetworkConfig(
    **NetworkConfig.demo().__dict__
    | {"channels": 4, "channel_step": 2, "blocks": 1, "heads": 2, "key_channels": 4, "value_channels": 4}
    | {"pair_channels": 4, "pair_heads": 2, "pair_position_features": 4, "junction_channels": 4, "junction_sites": 12}
)
GENES = [
    # chrom, start, end, strand, id, kind
    ("chr1", 2000, 5200, "+", "G1.1", "protein_coding"),
    ("chr1", 3500, 8000, "-", "G2.3", "protein_coding"),
    ("chr1", 4000, 4600, "+", "G3", "lncRNA"),
]
EXONS = [
    ("chr1", 2000, 2100, "+", "G1.1", "G1a"),
    ("chr1", 3000, 3200, "+", "G1.1", "G1a"),
    ("chr1", 4900, 5200, "+", "G1.1", "G1a"),
    ("chr1", 4950, 5200, "+", "G1.1", "G1b"),
    ("chr1", 3500, 4100, "-", "G2.3", "G2a"),
    ("chr1", 5900, 6000, "-", "G2.3", "G2a"),
    ("chr1", 7800, 8000, "-", "G2.3", "G2b"),
    ("chr1", 4000, 4600, "+", "G3", "G3a"),
]
POLYA = [(4500, "+", "G1.7"), (5199, "+", "G1.7"), (3500, "-", "G2.3"), (3900, "-", "G2.3"), (4300, "-", "G2.3")]


def sequence(chrom: str) -> str:
    """The same letters every time."""
    letters = np.random.default_rng(len(chrom) + SIZES[chrom]).choice(list("ACGT"), SIZES[chrom])
    return "".join(letters)


def write_reference(folder: Path) -> Path:
    """What `megabase.genome.reference` builds."""
    folder.mkdir(parents=True)
    text = "".join(
        f">{chrom}\n" + "".join(f"{sequence(chrom)[i : i + 60]}\n" for i in range(0, size, 60))
        for chrom, size in SIZES.items()
    )
    (folder / "genome.fa").write_text(text)
    pyfaidx.Faidx(str(folder / "genome.fa"))
    (folder / "reference.json").write_text(json.dumps({"assembly": "made1", "sizes": SIZES}))
    genes = pd.DataFrame(GENES, columns=["chrom", "start", "end", "strand", "gene_id", "gene_type"])
    genes.assign(gene_name=genes["gene_id"]).to_parquet(folder / "genes.parquet")
    exons = pd.DataFrame(EXONS, columns=["chrom", "start", "end", "strand", "gene_id", "transcript_id"])
    exons.to_parquet(folder / "exons.parquet")
    polya = pd.DataFrame(POLYA, columns=["position", "strand", "gene_id"])
    polya.assign(chrom="chr1", pas_id="").to_parquet(folder / "polya.parquet")
    return folder


def tracks() -> dict[str, dict[str, list[dict[str, str]]]]:
    """Two organisms; the second is the wider one where junctions are concerned."""

    def rows(names: str, strands: str) -> list[dict[str, str]]:
        return [
            {"track": name, "strand": strand, "track_id": f"{name}{strand}", "biosample": name, "ontology_curie": "X:1"}
            for name, strand in zip(names, strands, strict=True)
        ]

    first = {
        "ATAC": rows("a", "."),
        "CAGE": rows("aabb", "+-+-"),
        "DNASE": rows("ab", ".."),
        "RNA_SEQ": rows("aabbc", "+-+-."),
        "PROCAP": rows("aa", "+-"),
        "CHIP_HISTONE": rows("ab", ".."),
        "CHIP_TF": rows("ab", ".."),
        "CONTACT_MAPS": rows("ab", ".."),
        "SPLICE_SITES": rows("dada", "++--"),
        "SPLICE_SITE_USAGE": rows("abab", "++--"),
        "SPLICE_JUNCTIONS": rows("ab", ".."),
    }
    second = {
        "SPLICE_SITES": rows("dada", "++--"),
        "SPLICE_SITE_USAGE": rows("abcabc", "+++---"),
        "SPLICE_JUNCTIONS": rows("abc", "..."),
    }
    return {"first": first, "second": second}


def write_model(folder: Path) -> Path:
    """A model folder, of random weights far enough from their first values that no prediction is flat."""
    indices = {"first": 0, "second": 1}
    tables = {organism: {b: pd.DataFrame(r) for b, r in own.items()} for organism, own in tracks().items()}
    network = dataclasses.replace(NETWORK, dtype="float32")
    model = AlphaGenome(ModelConfig(network, head_specs(tables, indices), 2), rngs=nnx.Rngs(0))
    rng = np.random.default_rng(1)
    state = nnx.state(model, nnx.Param)
    for _, leaf in nnx.to_flat_state(state):
        leaf[...] = leaf[...] + 0.1 * rng.standard_normal(leaf[...].shape).astype(np.float32)
    nnx.update(model, state)
    description = {"window_length": WINDOW, "organisms": indices, "tracks": tracks(), "assemblies": {"first": "made1"}}
    export(folder, model, description)
    return folder
