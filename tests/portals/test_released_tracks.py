"""The release's tracks are read from its metadata, and a manifest is compared with them by name."""

from __future__ import annotations

import collections
import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from megabase.commands.manifest import compare as command
from megabase.errors import InputError
from megabase.portals.released import (
    COLUMNS,
    compare,
    compare_files,
    comparison_lines,
    read_released,
    released_means,
    write_released,
)

METADATA = """
output_metadata {
  output_type: OUTPUT_TYPE_CHIP_TF
  tracks {
    metadata {
      name: "EFO:0002067 TF ChIP-seq CTCF"
      strand: STRAND_UNSTRANDED
      ontology_term { ontology_type: ONTOLOGY_TYPE_EFO id: 2067 }
      biosample { name: "K562" type: BIOSAMPLE_TYPE_CELL_LINE stage: "adult" }
      assay: "TF ChIP-seq"
      transcription_factor_code: "CTCF"
      data_source: "encode"
      endedness: ENDEDNESS_PAIRED
      genetically_modified: false
      nonzero_mean: 0.73974097
    }
    metadata { name: "Padding" strand: STRAND_UNSTRANDED }
  }
}
output_metadata {
  output_type: OUTPUT_TYPE_SPLICE_JUNCTIONS
  junctions {
    metadata {
      name: "junction_UBERON:0001114 gtex Liver polyA plus RNA-seq"
      ontology_term { ontology_type: ONTOLOGY_TYPE_UBERON id: 1114 }
      biosample { name: "right lobe of liver" type: BIOSAMPLE_TYPE_TISSUE }
      gtex_tissue: "Liver"
      data_source: "gtex"
      assay: "polyA plus RNA-seq"
    }
  }
}
"""
"""Two real tracks and a padding row, in the words of the public protocol."""


def test_metadata_becomes_a_table(tmp_path: Path) -> None:
    (tmp_path / "human.textproto").write_text(METADATA)
    write_released(tmp_path / "human.textproto", tmp_path / "human.tsv")
    with open(tmp_path / "human.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert tuple(rows[0]) == COLUMNS and [row["name"] for row in rows][1] == "Padding"
    assert rows[0] == {
        "output_type": "CHIP_TF",
        "name": "EFO:0002067 TF ChIP-seq CTCF",
        "strand": "unstranded",
        "ontology_curie": "EFO:0002067",
        "biosample_type": "cell_line",
        "biosample_name": "K562",
        "biosample_stage": "adult",
        "assay": "TF ChIP-seq",
        "data_source": "encode",
        "endedness": "paired",
        "genetically_modified": "false",
        "gtex_tissue": "",
        "nonzero_mean": "0.73974097",
        "histone_mark_code": "",
        "transcription_factor_code": "CTCF",
    }
    assert (rows[2]["strand"], rows[2]["gtex_tissue"], rows[2]["ontology_curie"]) == ("", "Liver", "UBERON:0001114")
    assert [row["name"] for row in read_released(tmp_path / "human.tsv")] == [rows[0]["name"], rows[2]["name"]]
    (tmp_path / "other.textproto").write_text("nothing of the kind {")
    with pytest.raises(InputError, match="not metadata of tracks"):
        write_released(tmp_path / "other.textproto", tmp_path / "other.tsv")


def own_rows(released: list[dict[str, str]]) -> list[dict[str, str]]:
    """A table of files that has exactly the released tracks, under our names."""
    tracks: list[dict[str, Any]] = []
    for row in released:
        bundle, target = row["output_type"], row["histone_mark_code"] or row["transcription_factor_code"]
        if bundle in ("SPLICE_SITES", "SPLICE_SITE_USAGE"):
            continue
        gtex = row["data_source"] == "gtex"
        sample = row["gtex_tissue"].replace("_", " - ", 1) if gtex else row["biosample_name"]
        modification = row["name"].partition(f"{row['assay']} {target}")[2] if bundle == "CHIP_TF" else ""
        tracks.append(
            {
                "bundle": bundle,
                "track": f"{row['ontology_curie']} {sample} {target} {row['assay']}{modification}"
                + (row["name"] if bundle == "CONTACT_MAPS" else ""),
                "strand": {"positive": "+", "negative": "-"}.get(row["strand"], "."),
                "biosample": sample,
                "ontology_curie": row["ontology_curie"],
                "assay": "GTEx RNA-seq" if gtex else row["assay"],
                "target": target,
                "data_source": {"fantom": "fantom5", "4dnucleome": "4dn"}.get(row["data_source"], row["data_source"]),
                "accession": row["name"].rpartition(":")[2],
            }
        )
    return tracks


@pytest.mark.parametrize(("organism", "count"), [("human", 5930), ("mouse", 1128)])
def test_every_released_track_is_known_by_what_it_is(organism: str, count: int, shared: Path) -> None:
    released = read_released(shared / f"reference/tracks/{organism}.tsv")
    files = own_rows(released)
    compared = compare(files, released)
    assert not any(one.missing or one.extra for one in compared.values())
    # The paper counts a condition's junctions once for each strand.
    assert sum(one.expected for one in compared.values()) + compared["SPLICE_JUNCTIONS"].expected == count
    means = released_means(files, released)
    assert len(means) == sum(bool(row["nonzero_mean"]) for row in released)


def test_what_differs_is_named(shared: Path, tmp_path: Path) -> None:
    released = read_released(shared / "reference/tracks/human.tsv")
    tracks = own_rows(released)
    lost = [row for row in tracks if row["bundle"] == "SPLICE_JUNCTIONS" and row["biosample"] == "Liver"]
    kept = [row for row in tracks if row not in lost]
    kept.append(kept[0] | {"track": "T-cell new", "ontology_curie": "CL:9999999"})
    compared = compare(kept, released)
    assert len(compared["SPLICE_JUNCTIONS"].missing) == 1
    assert len(compared["SPLICE_SITE_USAGE"].missing) == 2, "usage follows from junctions"
    assert compared["ATAC"].extra == ["T-cell new"]
    lines = list(comparison_lines("human", compared))
    assert any(line.split() == ["ATAC", "167", "167", "0", "1"] for line in lines)
    assert any(line.startswith("missing  SPLICE_JUNCTIONS  junction_UBERON:0001114 gtex Liver") for line in lines)
    assert "extra  ATAC  T-cell new" in lines
    for name, rows in (("tracks", kept), ("released", released)):
        with open(tmp_path / f"{name}.tsv", "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    place = tmp_path / "tracks.tsv"
    compare_files("human", place, tmp_path / "released.tsv", tmp_path / "out.tsv", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text().splitlines() == lines
    (tmp_path / "manifest").mkdir()
    shutil.copy(place, tmp_path / "manifest/human.sources.tsv")
    shutil.copy(tmp_path / "released.tsv", tmp_path / "human.tsv")
    assert list(command(tmp_path / "manifest", tmp_path, names=None)) == lines
    with pytest.raises(InputError, match=r"none of human\.tsv here"):
        list(command(tmp_path / "manifest", tmp_path / "manifest", names=None))
    with open(tmp_path / "out.tsv", newline="") as file:
        statuses = collections.Counter(row["status"] for row in csv.DictReader(file, delimiter="\t"))
    assert statuses == {"found": 5563 - 3, "missing": 3, "extra": 1}
