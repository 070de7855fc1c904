"""Between the `alphagenome` package and this library: organisms, scorers, tracks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from alphagenome.data import genome, ontology
from alphagenome.models import variant_scorers as public
from alphagenome.models.dna_model import Organism
from alphagenome.models.dna_output import OutputMetadata, OutputType
from jaxtyping import Bool

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.genome.regions import Region
from megabase.scoring.config import Scorer
from megabase.scoring.vcf import Variant

BUNDLE: dict[OutputType, str] = {kind: kind.name for kind in OutputType}
"""Our name of each output type: the same."""
_KNOWN = {
    "human": Organism.HOMO_SAPIENS,
    "homo_sapiens": Organism.HOMO_SAPIENS,
    "mouse": Organism.MUS_MUSCULUS,
    "mus_musculus": Organism.MUS_MUSCULUS,
}
# Public name of each column of metadata, and ours, in order of preference.
_COLUMNS = {
    "Assay title": ("assay",),
    "ontology_curie": ("ontology_curie",),
    "biosample_name": ("biosample_name", "biosample"),
    "biosample_type": ("biosample_type",),
    "biosample_life_stage": ("biosample_life_stage", "biosample_stage"),
    "gtex_tissue": ("gtex_tissue",),
    "data_source": ("data_source",),
    "endedness": ("endedness",),
    "genetically_modified": ("genetically_modified",),
    "nonzero_mean": ("nonzero_mean",),
}
_TARGETS = {"CHIP_TF": "transcription_factor", "CHIP_HISTONE": "histone_mark"}


def organism_names(names: Sequence[str]) -> dict[Organism, str]:
    """Which organism of the model stands for each public one: by name, otherwise in order."""
    found = {_KNOWN[name.lower()]: name for name in names if name.lower() in _KNOWN}
    free = [organism for organism in Organism if organism not in found]
    rest = [name for name in names if name not in found.values()]
    return found | dict(zip(free, rest, strict=False))


def metadata_of(bundle: str, table: pd.DataFrame) -> pd.DataFrame:
    """A track table as the public package knows it: name and strand, and what else is known of each track."""
    rows: dict[str, Any] = {"name": table["track"].astype(str).to_numpy(object)}
    rows["strand"] = table["strand"].replace("", ".").to_numpy(object) if "strand" in table else ["."] * len(table)
    for public_name, own in _COLUMNS.items():
        for column in own:
            if column in table and public_name not in rows and (given := _known(table[column])) is not None:
                rows[public_name] = given
    target = _TARGETS.get(bundle)
    if target is not None and (given := _known(table.get(target, table.get("target")))) is not None:
        rows[target] = given
    made = pd.DataFrame(rows)
    made.index = made.index.astype(str)
    return made


def output_metadata(tables: Mapping[str, pd.DataFrame]) -> OutputMetadata:
    """The metadata of all output types."""
    return OutputMetadata(**{bundle.lower(): metadata_of(bundle, table) for bundle, table in tables.items()})


def _known(column: pd.Series[Any] | None) -> list[Any] | None:
    """The values, None where there is none; None where there are none at all."""
    if column is None:
        return None
    words = {"": None, "true": True, "false": False}
    values = [None if pd.isna(value) else words.get(value, value) for value in column]
    return values if any(value is not None for value in values) else None


def of_ontology(table: pd.DataFrame, terms: Iterable[ontology.OntologyTerm | str] | None) -> Bool[np.ndarray, " T"]:
    """Which tracks are of these terms; all of an output type that has none."""
    curies = _known(table.get("ontology_curie"))
    if terms is None or curies is None:
        return np.ones(len(table), bool)
    wanted = {term if isinstance(term, str) else term.ontology_curie for term in terms}
    return np.array([curie in wanted for curie in curies], bool)


def our_scorer(scorer: public.VariantScorerTypes) -> Scorer:
    """The scorer of ours that a public one asks for. The width of splicing scorers is ignored, as in the release."""
    bundle: Any = scorer.requested_output.name
    resolution = min(BUNDLES[bundle].resolutions)
    name = str(scorer)
    match scorer:
        case public.CenterMaskScorer():
            aggregation: Any = scorer.aggregation_type.name
            return Scorer(name, bundle, "center", aggregation, scorer.width or 0, resolution)
        case public.ContactMapScorer():
            return Scorer(name, bundle, "contacts", resolution=resolution)
        case public.GeneMaskLFCScorer():
            return Scorer(name, bundle, "exons", "LFC")
        case public.GeneMaskActiveScorer():
            return Scorer(name, bundle, "exons", "ACTIVE")
        case public.GeneMaskSplicingScorer():
            return Scorer(name, bundle, "bodies")
        case public.PolyadenylationScorer():
            return Scorer(name, bundle, "polyadenylation")
        case public.SpliceJunctionScorer():
            return Scorer(name, bundle, "junctions")
    raise InputError(f"no scorer of the kind {type(scorer).__name__}", where="scorers", remedy="give public scorers")


def our_region(interval: genome.Interval) -> Region:
    """The interval without its strand."""
    return Region(interval.chromosome, interval.start, interval.end)


def our_variant(variant: genome.Variant) -> Variant:
    """The variant under its own name."""
    ref, alt = variant.reference_bases.upper(), variant.alternate_bases.upper()
    return Variant(str(variant), variant.chromosome, variant.position, ref, alt)
