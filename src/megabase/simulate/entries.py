"""What the portals say about each file of the world, each in its own words."""

from __future__ import annotations

import re
import urllib.parse

from megabase.simulate.catalog import Entry
from megabase.simulate.experiments import Experiment, assembly

_OUTPUTS = {
    "RNA_SEQ": {
        "+": "plus strand signal of unique reads",
        "-": "minus strand signal of unique reads",
        ".": "signal of unique reads",
    },
    "CHIP_TF": {".": "fold change over control"},
    "CHIP_HISTONE": {".": "fold change over control"},
}
_OUTPUTS["PROCAP"] = _OUTPUTS["RNA_SEQ"]
_CATEGORIES = {"cell_line": "cell lines", "tissue": "tissues", "timecourse": "time courses"}
_REFERENCES = {"fasta": "genome.fa.gz", "annotation": "genes.gtf.gz", "polya": "polya.tsv"}


def entry_of(experiment: Experiment) -> Entry:
    """The catalogue's entry of the file of an experiment (recount3: `recount_entry`)."""
    return {"encode": _encode, "fdn": _fdn, "fantom5": _fantom5}[experiment.portal](experiment)


def recount_entry(name: str, kind: str, experiment: Experiment) -> Entry:
    """The entry of a file of a recount3 project; `experiment`: its sample, or any one of the project."""
    return {
        "portal": "recount3",
        "path": f"recount3/{experiment.organism}/{experiment.dataset}/{name}",
        "project": experiment.dataset,
        "sample": experiment.accession if kind == "coverage" else "",
        "kind": kind,
        "organism": experiment.organism,
    }


def reference_entries(organism: str) -> list[Entry]:
    """The entries of the reference files of an organism."""
    return [
        {
            "portal": "references",
            "path": f"references/{organism}/{name}",
            "url": f"/{organism}/{name}",
            "organism": organism,
            "kind": kind,
            "assembly": assembly(organism),
        }
        for kind, name in _REFERENCES.items()
    ]


def _encode(experiment: Experiment) -> Entry:
    replicates = [int(number) for number in experiment.replicates.split(",")]
    audit: dict[str, list[str]] = {}
    for item in filter(None, experiment.audit.split("; ")):
        level, _, category = item.partition(": ")
        audit.setdefault(level, []).append(category)
    bam = experiment.format == "bam"
    return {
        "portal": "encode",
        "path": f"encode/{experiment.accession}.{experiment.format}",
        "accession": experiment.accession,
        "dataset": experiment.dataset,
        "assay_title": experiment.assay,
        "file_format": experiment.format,
        "output_type": "alignments" if bam else _OUTPUTS[experiment.bundle][experiment.strand],
        "assembly": experiment.assembly,
        "biosample_ontology": {
            "term_id": experiment.curie,
            "term_name": experiment.biosample,
            "classification": experiment.classification,
        },
        "target": experiment.target or None,
        "biological_replicates": replicates,
        "technical_replicates": [f"{number}_1" for number in replicates],
        "mapped_read_length": int(experiment.read_length),
        "mapped_run_type": experiment.run,
        "date_created": f"{experiment.created}T00:00:00.000000+00:00",
        "status": experiment.status,
        "preferred_default": not experiment.decoy,
        "quality_metrics": [{"frip": float(experiment.frip)}] if experiment.frip else [],
        "audit": audit,
        "simple_biosample_summary": f"treated with {experiment.treatment}" if experiment.treatment else "",
        "life_stage_age": "adult",
        "perturbed": bool(experiment.treatment),
        "treatments": [experiment.treatment] if experiment.treatment else [],
    }


def _fdn(experiment: Experiment) -> Entry:
    return {
        "portal": "fdn",
        "path": f"fdn/{experiment.accession}.mcool",
        "accession": experiment.accession,
        "file_format": "mcool",
        "genome_assembly": experiment.assembly,
        "biosource_name": experiment.biosample,
        "biosource_term": experiment.curie,
        "experiment_type": experiment.assay,
        "open_data": experiment.access == "open",
        "dataset": experiment.dataset,
        "classification": experiment.classification,
        "status": experiment.status,
        "date_created": f"{experiment.created}T00:00:00.000000+00:00",
    }


def _fantom5(experiment: Experiment) -> Entry:
    library, _, ff_id = experiment.accession.partition(".")
    # Escapes in lower case, as on the portal.
    sample = re.sub("%..", lambda escape: escape[0].lower(), urllib.parse.quote(experiment.sample, safe=""))
    name = f"{sample}.{experiment.accession}.{experiment.assembly}.nobarcode.ctss.bed.gz"
    return {
        "portal": "fantom5",
        "path": f"fantom5/{experiment.organism}/{name}",
        "directory": experiment.dataset,
        "name": name,
        "assembly": experiment.assembly,
        "sample": experiment.sample,
        "library": library,
        "ff_id": ff_id,
        "category": _CATEGORIES[experiment.dataset.split(".")[1]],
        "term_id": experiment.curie,
        "term_name": experiment.biosample,
    }
