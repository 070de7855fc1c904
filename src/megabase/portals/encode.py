"""ENCODE: files and experiments by search, joined and filtered as in the paper (data reference 1.1, paper 1.4-1.5)."""

from __future__ import annotations

import collections
import dataclasses
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from megabase.errors import InputError
from megabase.portals.answers import Asked, Found, check_complete, wanted
from megabase.portals.filters import (
    PAPER,
    Item,
    best_files,
    completed,
    frip,
    is_modified,
    priority,
    read_audits,
    rejected,
)
from megabase.portals.http import portable

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Kind:
    """How files of one output type are asked for and read."""

    assays: tuple[str, ...]
    file_format: str
    outputs: tuple[str, ...]
    format: str
    reading: str
    per_replicate: bool = False


_RNA = ("total RNA-seq", "polyA plus RNA-seq")
_UNIQUE = "signal of unique reads"
_FOLD = ("fold change over control",)
KINDS = {
    "RNA_SEQ": Kind(
        _RNA, "bigWig", (f"plus strand {_UNIQUE}", f"minus strand {_UNIQUE}", _UNIQUE), "bigWig", "coverage"
    ),
    "SPLICE_JUNCTIONS": Kind(_RNA, "bam", ("alignments",), "BAM", "reads"),
    "DNASE": Kind(("DNase-seq",), "bam", ("alignments",), "BAM", "cut_sites", per_replicate=True),
    "ATAC": Kind(("ATAC-seq",), "bam", ("alignments",), "BAM", "cut_sites", per_replicate=True),
    "CHIP_HISTONE": Kind(("Histone ChIP-seq",), "bigWig", _FOLD, "bigWig", "fold_change"),
    "CHIP_TF": Kind(("TF ChIP-seq",), "bigWig", _FOLD, "bigWig", "fold_change"),
    # The portal's output types of PRO-cap are not known here: strands are told by the first word.
    "PROCAP": Kind(("PRO-cap",), "bigWig", (), "bigWig", "coverage"),
}
_FILE_FIELDS = (
    *("accession", "dataset", "href", "s3_uri", "cloud_metadata", "md5sum", "file_size", "file_format", "output_type"),
    *("assembly", "status", "preferred_default", "biological_replicates", "technical_replicates"),
    *("mapped_read_length", "mapped_run_type", "run_type", "date_created", "quality_metrics", "assay_title"),
    *("biosample_ontology", "simple_biosample_summary", "target.label"),
)
_READ_FIELDS = ("accession", "dataset", "mapped_read_length", "mapped_run_type", "technical_replicates")
_PEAK_FIELDS = ("accession", "dataset", "quality_metrics", "technical_replicates")
_EXPERIMENT = "ENCSR"
"""What accessions of experiments begin with."""
_EXPERIMENT_FIELDS = (
    *("accession", "status", "audit", "assay_title", "biosample_ontology", "life_stage_age", "perturbed"),
    *("simple_biosample_summary", "replicates.library.biosample.treatments"),
    *("replicates.library.biosample.genetic_modifications", "replicates.library.biosample.phase"),
    "replicates.library.biosample.subcellular_fraction_term_name",
)


def ask(asked: Asked) -> list[Found]:
    """The files that answer a query of ENCODE."""
    query, kind = asked.query, KINDS[asked.query.bundle]
    questions = _questions(asked, kind)
    files = [file for question in questions for file in _search(asked, question, _FILE_FIELDS)]
    about = [("type", "Experiment"), *(("assay_title", assay) for assay in query.assays or kind.assays)]
    experiments = {str(item["accession"]): item for item in _search(asked, about, _EXPERIMENT_FIELDS)}
    question = f"search/?{urlencode(questions[0])}"
    dropped: collections.Counter[str] = collections.Counter()
    if query.accessions:
        chosen = [(file, experiments.get(_experiment(file), {})) for file in _pinned(files, asked)]
    else:
        chosen = _chosen(_measured(files, asked), experiments, asked, dropped)
    keyed = [(_pair_key(file), _found(file, experiment, asked, kind, question)) for file, experiment in chosen]
    check_complete([found for _, found in keyed], asked, dropped)
    for why, count in sorted(dropped.items()):
        logger.info("%s: %s files left out: %s", asked.where, count, why)
    return _paired(keyed, asked)


def _questions(asked: Asked, kind: Kind) -> list[list[tuple[str, str]]]:
    """What is searched for: all files of the kind, or those that are named, by file or by experiment."""
    query, files = asked.query, [("type", "File")]
    released = [*(("status", status) for status in query.statuses), ("assembly", asked.assembly)]
    shape = [("file_format", kind.file_format), *(("output_type", output) for output in kind.outputs)]
    if not query.accessions:
        titles = [("assay_title", assay) for assay in query.assays or kind.assays]
        return [[*files, *released, *titles, *shape]]
    named = [name for name in query.accessions if not name.startswith(_EXPERIMENT)]
    datasets = [("dataset", f"/experiments/{name}/") for name in query.accessions if name.startswith(_EXPERIMENT)]
    # An address may not be much longer than this.
    runs = [named[first : first + 100] for first in range(0, len(named), 100)]
    questions = [[*files, *(("accession", accession) for accession in run)] for run in runs]
    return [*questions, [*files, *released, *shape, *datasets]] if datasets else questions


def _search(asked: Asked, parts: Iterable[tuple[str, str]], fields: Iterable[str]) -> list[Item]:
    shape = [("format", "json"), ("limit", "all"), *(("field", field) for field in fields)]
    return list(asked.web.json(asked.url(f"search/?{urlencode([*parts, *shape])}")).get("@graph", []))


def _measured(files: list[Item], asked: Asked) -> list[Item]:
    """The files with the read length and the fraction of reads in peaks that the portal records with other files of
    their experiment only: alignments have the one, peaks the other (not checked against the live portal).

    Of several the shortest reads count, and the largest fraction, as with a file of its own.
    """
    query, missing = asked.query, dict[str, tuple[str, ...]]()
    if any(file.get("mapped_read_length") is None for file in files):
        missing["mapped_read_length"] = _READ_FIELDS
    if PAPER[query.bundle].frip is not None and any(frip(file) is None for file in files):
        missing["quality_metrics.frip"] = _PEAK_FIELDS
    known: dict[str, list[Item]] = {}
    for field, fields in missing.items():
        titles = [("assay_title", assay) for assay in query.assays or KINDS[query.bundle].assays]
        released = [*(("status", status) for status in query.statuses), ("assembly", asked.assembly)]
        for other in _search(asked, [("type", "File"), *released, *titles, (field, "*")], fields):
            known.setdefault(_experiment(other), []).append(other)
    return [completed(file, known.get(_experiment(file), ())) for file in files]


def _chosen(
    files: Iterable[Item], experiments: Mapping[str, Item], asked: Asked, dropped: collections.Counter[str]
) -> list[tuple[Item, Item]]:
    """What the filters leave, of each experiment the best files, and of each context the best experiments."""
    query, kind, audits = asked.query, KINDS[asked.query.bundle], read_audits(asked.audits)
    kept: dict[str, list[Item]] = {}
    for file in files:
        experiment = experiments.get(_experiment(file))
        name, curie = _biosample(file, experiment or {})
        if not wanted(name, curie, query) or (query.targets and _target(file) not in query.targets):
            continue
        if str(file["accession"]) in query.without:
            dropped["named in `without`"] += 1
            continue
        why = "no such experiment" if experiment is None else rejected(file, experiment, query, audits)
        if not why and not _strand(file):
            why = f"output type {file['output_type']}"
        if why:
            dropped[why] += 1
        else:
            kept.setdefault(_experiment(file), []).append(file)
    contexts: dict[tuple[str, ...], list[tuple[tuple[int, ...], list[tuple[Item, Item]]]]] = {}
    for accession, listed in sorted(kept.items()):
        best, experiment = best_files(_one_protocol(listed), kind.per_replicate), experiments[accession]
        if len(listed) > len(best):
            dropped["a better file of the same experiment"] += len(listed) - len(best)
        strands = {_strand(file) for file in best}
        if len(strands) == 1 and strands != {"."}:
            dropped["one strand only"] += len(best)
            continue
        _, curie = _biosample(best[0], experiment)
        unstranded, modified = str(strands == {"."}), _modification(experiment)
        context = (curie, str(best[0].get("assay_title")), _target(best[0]), unstranded, modified)
        rank = priority(experiment, best[0]) if query.prioritised else ()
        contexts.setdefault(context, []).append((rank, [(file, experiment) for file in best]))
    chosen = []
    for ranked in contexts.values():
        first = min(rank for rank, _ in ranked)
        for rank, pairs in ranked:
            if rank == first:
                chosen += pairs
            else:
                dropped["a preferred experiment of the same context"] += len(pairs)
    return chosen


def _one_protocol(files: list[Item]) -> list[Item]:
    """Stranded files where an experiment has both kinds."""
    stranded = [file for file in files if _strand(file) != "."]
    return stranded or files


def _pinned(files: Iterable[Item], asked: Asked) -> list[Item]:
    """The named files, and of each named experiment the best ones, in the order of the names."""
    by_accession: dict[str, list[Item]] = {}
    for file in files:
        for name in (str(file["accession"]), _experiment(file)):
            by_accession.setdefault(name, []).append(file)
    listed = []
    for name in asked.query.accessions:
        of_name = by_accession.get(name, [])
        if name.startswith(_EXPERIMENT):
            usable = [file for file in of_name if _strand(file) and str(file["accession"]) not in asked.query.without]
            of_name = best_files(_one_protocol(usable), KINDS[asked.query.bundle].per_replicate)
        listed += of_name
    for file in listed:
        if file.get("status") == "revoked":
            raise InputError(f"{file['accession']} is revoked", where=asked.where, remedy="pin another file")
        if file.get("assembly") not in (None, asked.assembly):
            what = f"{file['accession']} is {file['assembly']}, not {asked.assembly}"
            raise InputError(what, where=asked.where, remedy="pin a file of this assembly")
    return listed


def _found(file: Item, experiment: Item, asked: Asked, kind: Kind, question: str) -> Found:
    accession, (name, curie) = str(file["accession"]), _biosample(file, experiment)
    strand = _strand(file)
    minus = asked.query.minus_sign if strand == "-" else ""
    return Found(
        file=f"{accession}.{'bam' if kind.format == 'BAM' else 'bigWig'}",
        format=kind.format,
        reading=kind.reading,
        url=_url(file, asked),
        strand=strand,
        biosample=name,
        ontology_curie=curie or asked.query.curies.get(name, ""),
        assay=str(file.get("assay_title") or experiment.get("assay_title") or ""),
        target=_target(file),
        data_source="encode",
        accession=accession,
        dataset=_experiment(file),
        modification=_modification(experiment),
        sign=minus,
        bytes=str(file.get("file_size") or ""),
        md5=str(file.get("md5sum") or ""),
        asked=question,
    )


def _pair_key(file: Item) -> tuple[str, str]:
    """Only the strands of one experiment and replicate set are a pair."""
    return _experiment(file), str(file.get("biological_replicates"))


def _paired(keyed: list[tuple[tuple[str, str], Found]], asked: Asked) -> list[Found]:
    """Files with the other strand's as their pair."""
    other = {"+": "-", "-": "+"}
    by_strand = {(key, file.strand): file for key, file in keyed}
    paired = []
    for key, file in keyed:
        pair = by_strand.get((key, other.get(file.strand, "")))
        if pair is None and file.strand != "." and asked.query.bundle == "RNA_SEQ":
            what = f"{file.accession} has no file of the other strand"
            raise InputError(what, where=asked.where, remedy="pin both strands")
        paired.append(dataclasses.replace(file, pair=pair.file if pair else ""))
    return paired


def _url(file: Item, asked: Asked) -> str:
    """Where a file is fetched: by its link on the portal, never where that leads to, which expires."""
    if asked.prefer_s3:
        stored = re.fullmatch(r"s3://([^/]+)/(.+)", str(file.get("s3_uri") or ""))
        bucket = f"https://{stored[1]}.s3.amazonaws.com/{stored[2]}" if stored else ""
        if cloud := str((file.get("cloud_metadata") or {}).get("url") or bucket):
            return portable(cloud, asked.base)
    href = str(file.get("href") or f"/files/{file['accession']}/@@download/{file['accession']}")
    return href.lstrip("/")


def _experiment(file: Item) -> str:
    """Accession of a file's experiment: `/experiments/ENCSR000AAA/` or the bare accession."""
    dataset: Any = file.get("dataset") or ""
    dataset = dataset.get("@id", "") if isinstance(dataset, Mapping) else dataset
    return str(dataset).strip("/").rsplit("/", 1)[-1]


def _biosample(file: Item, experiment: Item) -> tuple[str, str]:
    """Name and ontology term."""
    term = file.get("biosample_ontology") or experiment.get("biosample_ontology") or {}
    return str(term.get("term_name") or ""), str(term.get("term_id") or "")


def _modification(experiment: Item) -> str:
    """The portal's words for a genetically modified sample; nothing for any other. The release names tracks by them."""
    return str(experiment.get("simple_biosample_summary") or "modified") if is_modified(experiment) else ""


def _target(file: Item) -> str:
    target = file.get("target") or ""
    return str(target.get("label") or "") if isinstance(target, Mapping) else str(target)


def _strand(file: Item) -> str:
    """`+`, `-` or `.` by the output type; nothing where PRO-cap's does not say it."""
    output = str(file.get("output_type") or "")
    if output.startswith("plus strand"):
        return "+"
    if output.startswith("minus strand"):
        return "-"
    return "" if file.get("assay_title") == "PRO-cap" else "."
