"""The release's tracks: read from its metadata, and compared by name with those of a manifest.

The release names no files, only what each track is, so tracks are matched by that: ontology term, assay, data source,
strand, target, and where these leave several, genetic modification, tissue of GTEx, or accession (data reference 0).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from megabase.artifacts import write_text
from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.portals.changes import read_files
from megabase.portals.naming import GTEX_ASSAY
from megabase.portals.sources import identifier

COLUMNS = (
    *("output_type", "name", "strand", "ontology_curie", "biosample_type", "biosample_name", "biosample_stage"),
    *("assay", "data_source", "endedness", "genetically_modified", "gtex_tissue", "nonzero_mean"),
    *("histone_mark_code", "transcription_factor_code"),
)
_PADDING = "padding"
_STRANDS = {"+": "positive", "-": "negative", ".": "unstranded"}
_SOURCES = {"fantom": "fantom5", "4dnucleome": "4dn"}
_GTEX_ASSAY = "polyA plus RNA-seq"
"""What the release calls the assay of GTEx."""
_SITES = [(name, strand) for name in ("donor", "acceptor") for strand in ("positive", "negative")]
Row = Mapping[str, str]
Key = tuple[str, ...]
"""Output type, ontology term, assay, data source, strand, target, and what else sets tracks apart."""


def write_released(metadata: Path, out: Path) -> None:
    """Writes the release's metadata of one organism as a table, padding included, in the order of its heads."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n", extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(read_metadata(metadata))
    write_text(out, text.getvalue(), only_if_changed=True)


def read_metadata(path: Path) -> list[dict[str, str]]:
    """All rows of a text protocol buffer of the release, or of a table made from one.

    Raises InputError for a file that is neither.
    """
    try:
        content = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=path, remedy="correct organisms.*.released") from None
    if content.startswith("output_type\t"):
        return list(csv.DictReader(content.splitlines(), delimiter="\t"))
    import numpy as np
    from alphagenome.protos.v1 import dna_model_pb2, dna_model_service_pb2
    from google.protobuf import text_format

    def word(enum: str, value: int) -> str:
        """`BIOSAMPLE_TYPE_CELL_LINE` of `BiosampleType` as `cell_line`; unspecified as nothing."""
        names = dna_model_pb2.DESCRIPTOR.enum_types_by_name[enum]
        prefix = names.values_by_number[0].name.removesuffix("UNSPECIFIED")
        return names.values_by_number[value].name.removeprefix(prefix).lower().replace("unspecified", "")

    try:
        response = text_format.Parse(content, dna_model_service_pb2.MetadataResponse())
    except text_format.ParseError as error:
        remedy = "give the release's metadata (.textproto), or the table made from it"
        raise InputError(f"not metadata of tracks: {error}", where=path, remedy=remedy) from None
    rows = []
    for output in response.output_metadata:
        for track in (*output.tracks.metadata, *output.junctions.metadata):
            given = {field.name for field, _ in track.ListFields()}
            row = {name: str(getattr(track, name)) for name in given & set(COLUMNS)}
            term, sample = track.ontology_term, track.biosample
            row["output_type"] = word("OutputType", output.output_type).upper()
            if "ontology_term" in given:
                row["ontology_curie"] = f"{word('OntologyType', term.ontology_type).upper()}:{term.id:07d}"
            row |= {"biosample_name": sample.name, "biosample_stage": sample.stage}
            row["biosample_type"] = word("BiosampleType", sample.type)
            for name, enum in (("strand", "Strand"), ("endedness", "Endedness")):
                row[name] = word(enum, getattr(track, name, 0))
            if "genetically_modified" in row:
                row["genetically_modified"] = row["genetically_modified"].lower()
            if "nonzero_mean" in row:
                row["nonzero_mean"] = str(np.float32(track.nonzero_mean))
            rows.append(row)
    return rows


def read_released(path: Path) -> list[dict[str, str]]:
    """The real tracks of the release: no padding, and of splice sites none for `none`."""
    return [row for row in read_metadata(path) if not row["name"].lower().startswith(_PADDING)]


@dataclasses.dataclass(frozen=True)
class Compared:
    """The tracks of one output type, by name: in both, in the release only, in the manifest only."""

    found: list[tuple[str, str]]
    """The release's name and the manifest's, with their strands."""
    missing: list[str]
    extra: list[str]

    @property
    def expected(self) -> int:
        """Tracks of the release."""
        return len(self.found) + len(self.missing)


def compare(files: Iterable[Row], released: Iterable[Row]) -> dict[str, Compared]:
    """The tracks of a manifest (any of its tables of files) against the release's real tracks, by output type.

    Usage and sites of splicing follow from junctions, as they do when the store is written.
    """
    left: dict[str, dict[Key, list[str]]] = {}
    for own in _expanded(_tracks(files)):
        names = left.setdefault(own["bundle"], {}).setdefault(_own_key(own), [])
        names.append(_named(own["track"], own["strand"]))
    found: dict[str, list[tuple[str, str]]] = {}
    missing: dict[str, list[str]] = {}
    for row in released:
        bundle, name = row["output_type"], _named(row["name"], row["strand"])
        same = left.get(bundle, {}).get(_released_key(row))
        if same:
            found.setdefault(bundle, []).append((name, same.pop(0)))
        else:
            missing.setdefault(bundle, []).append(name)
    extra = {bundle: [name for listed in keys.values() for name in listed] for bundle, keys in left.items()}
    return {
        bundle: Compared(found.get(bundle, []), missing.get(bundle, []), extra.get(bundle, []))
        for bundle in BUNDLES
        if bundle in found or bundle in missing or extra.get(bundle)
    }


def released_means(files: Iterable[Row], released: Iterable[Row]) -> dict[tuple[str, str], float]:
    """The release's mean over the non-zero bases of a manifest's tracks, by (bundle, track_id), where it has one."""
    means = {_released_key(row): row["nonzero_mean"] for row in released if row.get("nonzero_mean")}
    keyed = [((row["bundle"], identifier(row["track"], row["strand"])), _own_key(row)) for row in _tracks(files)]
    return {place: float(means[key]) for place, key in keyed if key in means}


def comparison_lines(organism: str, compared: Mapping[str, Compared], names: int | None = None) -> Iterable[str]:
    """The comparison to read: a table of counts, then every name that is missing or extra (at most `names` of each)."""
    yield f"{organism:<20}{'expected':>9}{'found':>9}{'missing':>9}{'extra':>9}"
    for bundle, one in compared.items():
        yield f"{bundle:<20}{one.expected:>9,}{len(one.found):>9,}{len(one.missing):>9,}{len(one.extra):>9,}"
    total = [sum(len(getattr(one, part)) for one in compared.values()) for part in ("found", "missing", "extra")]
    yield f"{'all':<20}{total[0] + total[1]:>9,}" + "".join(f"{number:>9,}" for number in total)
    for part in ("missing", "extra"):
        for bundle, one in compared.items():
            listed: Sequence[str] = getattr(one, part)
            shown = listed[:names]
            yield from (f"{part}  {bundle}  {name}" for name in shown)
            if len(shown) < len(listed):
                yield f"{part}  {bundle}  … {len(listed) - len(shown):,} more"


def compare_files(organism: str, files: Path, released: Path, table: Path, text: Path) -> None:
    """Writes the comparison of one organism: one row per track of its table of files or the release, and as text."""
    compared = compare(read_files(files), read_released(released))
    rows = [("output_type", "status", "released", "track")]
    for bundle, one in compared.items():
        rows += [(bundle, "found", theirs, ours) for theirs, ours in one.found]
        rows += [(bundle, "missing", name, "") for name in one.missing]
        rows += [(bundle, "extra", "", name) for name in one.extra]
    write_text(table, "".join("\t".join(row) + "\n" for row in rows), only_if_changed=True)
    write_text(text, "".join(f"{line}\n" for line in comparison_lines(organism, compared)), only_if_changed=True)


def _tracks(files: Iterable[Row]) -> list[Row]:
    """Of each track its first file, which says what the track is."""
    found: dict[tuple[str, str, str], Row] = {}
    for row in files:
        found.setdefault((row["bundle"], row["track"], row["strand"]), row)
    return list(found.values())


def _expanded(tracks: Sequence[Row]) -> Iterable[Row]:
    """The tracks of a manifest, with what follows from its junctions."""
    yield from tracks
    conditions = [row for row in tracks if row["bundle"] == "SPLICE_JUNCTIONS"]
    for row in conditions:
        yield from (dict(row) | {"bundle": "SPLICE_SITE_USAGE", "strand": strand} for strand in "+-")
    if conditions:
        for name, strand in _SITES:
            yield {"bundle": "SPLICE_SITES", "track": name, "strand": "+" if strand == "positive" else "-"}


def _own_key(row: Row) -> Key:
    bundle = row["bundle"]
    if bundle == "SPLICE_SITES":
        return (bundle, row["track"], _STRANDS[row["strand"]])
    gtex = row["data_source"] == "gtex"
    apart = ""
    if bundle == "CONTACT_MAPS":
        apart = row["accession"]
    elif gtex:
        apart = _squeezed(row["biosample"])
    elif bundle == "CHIP_TF":
        apart = row["track"].partition(row["assay"])[2].strip()
    strand = "" if bundle == "SPLICE_JUNCTIONS" else _STRANDS[row["strand"]]
    assay = _GTEX_ASSAY if row["assay"] == GTEX_ASSAY else row["assay"]
    return (bundle, row["ontology_curie"], assay.lower(), row["data_source"], strand, row["target"], apart)


def _released_key(row: Row) -> Key:
    bundle = row["output_type"]
    if bundle == "SPLICE_SITES":
        return (bundle, row["name"], row["strand"])
    target = row.get("histone_mark_code") or row.get("transcription_factor_code") or ""
    apart = _squeezed(row.get("gtex_tissue") or "")
    if bundle == "CONTACT_MAPS":
        apart = row["name"].rpartition(":")[2]
    elif bundle == "CHIP_TF":
        apart = row["name"].partition(f"{row['assay']} {target}")[2].strip()
    source = _SOURCES.get(row["data_source"], row["data_source"])
    return (bundle, row["ontology_curie"], row["assay"].lower(), source, row["strand"], target, apart)


def _squeezed(text: str) -> str:
    """`Brain - Spinal cord (cervical c-1)` and `Brain_Spinal_cord_cervical_c-1` are the same tissue."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _named(name: str, strand: str) -> str:
    sign = {"positive": "+", "negative": "-"}.get(strand, strand)
    return f"{name} ({sign})" if sign in ("+", "-") else name
