"""What the paper keeps of ENCODE (sections 1.4 and 1.5): one function per rule, each on plain metadata."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import megabase
from megabase.errors import InputError
from megabase.portals.config import Query

Item = Mapping[str, Any]
"""A file or an experiment as the portal's JSON has it."""


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Least read length (bp) and fraction of reads in peaks, which must be exceeded."""

    read_length: int = 0
    frip: float | None = None
    frip_replaces_audit: bool = False
    modified: bool = False
    """Whether genetically modified samples count."""


PAPER = {
    "RNA_SEQ": Thresholds(read_length=50),
    "SPLICE_JUNCTIONS": Thresholds(read_length=50),
    "DNASE": Thresholds(read_length=36, frip=0.10),
    "ATAC": Thresholds(read_length=45, frip=0.10),
    "CHIP_TF": Thresholds(read_length=50, frip=0.01, frip_replaces_audit=True, modified=True),
    "CHIP_HISTONE": Thresholds(read_length=50, frip=0.06, frip_replaces_audit=True),
    "PROCAP": Thresholds(),
}
"""The paper's thresholds (section 1.5)."""

AUDITS = Path(megabase.__file__).resolve().parents[2] / "resources" / "audits.tsv"
"""The repository's own table of critical audits."""
_TREATED = re.compile(r"(?<!un)(?<!not )treated with|\btreatment\b|\bstimulated\b|\binfected\b|\btransfected\b", re.I)
_ARRESTED = re.compile(r"\barrested\b|\bsynchroni[sz]ed\b|\b(G1b?|S|G2|M)[ -]phase\b|cell[ -]cycle", re.I)
_MODIFIED = re.compile(r"genetically modified|\bCRISPR\b|\bRNAi\b|stably expressing|\bknock(out|down|in)\b", re.I)
_FRACTION = re.compile(r"\b(nuclear|nucleus|cytosol\w*|membrane|chromatin|nucleol\w+|nucleoplasm\w*) fraction", re.I)
_STAGES = ("adult", "embryonic", "child")
_PREFERRED_SAMPLES = ("tissue", "primary cell", "cell line")


def treated(text: str) -> bool:
    """Whether a sample's description names a treatment."""
    return bool(_TREATED.search(text))


def read_audits(table: str | Path | None = None) -> dict[str, set[str]]:
    """Audit categories that exclude an experiment, by level; `*` is all of a level."""
    table = table or AUDITS
    try:
        lines = [line for line in Path(table).read_text().splitlines() if line and not line.startswith("#")]
    except OSError as error:
        remedy = "correct portals.audits"
        raise InputError(f"cannot be read: {error}", where=table, remedy=remedy) from None
    audits: dict[str, set[str]] = {}
    for row in csv.DictReader(lines, delimiter="\t"):
        audits.setdefault(row["level"], set()).add(row["category"])
    return audits


def failed_audits(experiment: Item, audits: Mapping[str, set[str]]) -> list[str]:
    """The critical audits of an experiment."""
    found = []
    for level, critical in audits.items():
        for category in _categories(experiment, level):
            if "*" in critical or category in critical:
                found.append(f"{level} {category}")
    return found


def audit_level(experiment: Item) -> int:
    """0 without audits, 1 with warnings, 2 with NOT_COMPLIANT ones, 3 with errors."""
    levels = ("WARNING", "NOT_COMPLIANT", "ERROR")
    return max((number for number, level in enumerate(levels, 1) if _categories(experiment, level)), default=0)


def perturbation(experiment: Item, modified_too: bool) -> str:
    """Why the sample is no baseline sample, or nothing; `modified_too` lets genetically modified ones pass."""
    text = str(experiment.get("simple_biosample_summary") or "")
    if experiment.get("perturbed") or _present(experiment, "treatments") or treated(text):
        return "treated"
    if _present(experiment, "phase") or _ARRESTED.search(text):
        return "arrested in the cell cycle"
    return "genetically modified" if not modified_too and is_modified(experiment) else ""


def is_modified(experiment: Item) -> bool:
    """Whether the sample is genetically modified."""
    text = str(experiment.get("simple_biosample_summary") or "")
    return _present(experiment, "genetic_modifications") or bool(_MODIFIED.search(text))


def frip(file: Item) -> float | None:
    """The fraction of reads in peaks, as the best of the file's quality metrics has it."""
    found = [
        float(value)
        for metric in _metrics(file)
        for name, value in metric.items()
        if name.lower() == "frip" and value is not None
    ]
    return max(found, default=None)


def _metrics(file: Item) -> list[Item]:
    """The quality metrics that come with a file, and not as links only."""
    return [metric for metric in file.get("quality_metrics") or () if isinstance(metric, Mapping)]


def completed(file: Item, others: Iterable[Item]) -> Item:
    """A file with what it does not record itself and other files of its experiment do: the length and run type of
    reads, the fraction of them in peaks; with those of its own replicates where any have it."""
    own = set(map(str, file.get("technical_replicates") or ()))
    filled = dict(file)

    def nearest(having: list[Item]) -> list[Item]:
        return [other for other in having if own & set(map(str, other.get("technical_replicates") or ()))] or having

    if file.get("mapped_read_length") is None:
        read = nearest([other for other in others if other.get("mapped_read_length") is not None])
        if read:
            shortest = min(read, key=lambda other: float(other["mapped_read_length"]))
            filled["mapped_read_length"] = shortest["mapped_read_length"]
            filled.setdefault("mapped_run_type", shortest.get("mapped_run_type"))
    if frip(file) is None:
        peaks = nearest([other for other in others if frip(other) is not None])
        filled["quality_metrics"] = [*_metrics(file), *(metric for other in peaks for metric in _metrics(other))]
    return filled


def rejected(file: Item, experiment: Item, query: Query, audits: Mapping[str, set[str]]) -> str:
    """Why the paper leaves a file out, in a few words; nothing for one that it keeps."""
    paper = PAPER[query.bundle]
    for item in (file, experiment):
        if item.get("status", query.statuses[0]) not in query.statuses:
            return f"status {item['status']}"
    if query.processed_since and str(file.get("date_created") or "9999")[:10] < query.processed_since:
        return "processed too long ago"
    if query.baseline and (why := perturbation(experiment, paper.modified)):
        return why
    length = file.get("mapped_read_length")
    least_length = paper.read_length if query.min_read_length is None else query.min_read_length
    if length is not None and float(length) < least_length:
        return f"reads shorter than {least_length} bp"
    fraction, least = frip(file), paper.frip if query.min_frip is None else query.min_frip
    enough = least is None or (query.keep_unknown_frip if fraction is None else fraction > least)
    if query.audited and failed_audits(experiment, audits):
        rescued = paper.frip_replaces_audit and fraction is not None and least is not None and fraction > least
        return "" if rescued else "critical audit"
    if not enough and not (paper.frip_replaces_audit and query.audited):
        return f"FRiP not above {least}"
    return ""


def best_files(files: Iterable[Item], per_replicate: bool) -> list[Item]:
    """One file per output type, and with `per_replicate` per replicate: of the most complete set, then the latest."""
    best: dict[tuple[str, ...], Item] = {}
    for file in sorted(files, key=_completeness):
        replicate = tuple(map(str, file.get("technical_replicates") or ())) if per_replicate else ()
        best[(str(file.get("output_type")), *replicate)] = file
    return sorted(best.values(), key=lambda file: str(file["accession"]))


def _completeness(file: Item) -> tuple[Any, ...]:
    return (
        len(file.get("biological_replicates") or ()),
        len(file.get("technical_replicates") or ()),
        str(file.get("date_created") or ""),
        bool(file.get("preferred_default")),
        str(file["accession"]),
    )


def priority(experiment: Item, file: Item) -> tuple[int, ...]:
    """Where an experiment stands among those of the same context, the least first (paper section 1.4)."""
    kind = str((experiment.get("biosample_ontology") or {}).get("classification") or "")
    stage = str(experiment.get("life_stage_age") or "")
    text = str(experiment.get("simple_biosample_summary") or "")
    return (
        int(is_modified(experiment)),
        audit_level(experiment),
        int(str(file.get("mapped_run_type") or file.get("run_type") or "") != "paired-ended"),
        int(kind not in _PREFERRED_SAMPLES),
        next((number for number, name in enumerate(_STAGES) if stage.startswith(name)), len(_STAGES)),
        int(_present(experiment, "subcellular_fraction_term_name") or bool(_FRACTION.search(text))),
    )


def _categories(experiment: Item, level: str) -> Sequence[str]:
    audits = (experiment.get("audit") or {}).get(level) or ()
    return [str(audit["category"] if isinstance(audit, Mapping) else audit) for audit in audits]


def _present(value: Any, name: str) -> bool:
    """Whether a key holds anything, at any depth: replicates hold libraries, which hold biosamples."""
    if isinstance(value, Mapping):
        return bool(value.get(name)) or any(_present(inner, name) for inner in value.values())
    return isinstance(value, list | tuple) and any(_present(inner, name) for inner in value)
