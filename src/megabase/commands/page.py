"""`megabase page`: what a model says about one variant or interval, as a page for a browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from megabase.commands.score import described_organism
from megabase.errors import InputError

if TYPE_CHECKING:
    from alphagenome.data import genome
    from alphagenome.models.dna_model import Organism
    from alphagenome.models.dna_output import OutputType

    from megabase.scoring.dna_model import DnaModel

_VARIANT = re.compile(r"^([^:\s]+):(\d{1,12}):?([ACGT]+)>([ACGT]+)$", re.IGNORECASE)


def page(
    weights: Path,
    reference: Path | None,
    out: Path,
    variant: str | None = None,
    region: str | None = None,
    organism: str | None = None,
    window: int | None = None,
    single_strand: bool = False,
) -> Path:
    """Predicts a variant (`chr1:21462:A>G`, 1-based) or a region (chrom:start-end, 0-based half-open) and writes a
    self-contained HTML to `out`; gives it back.

    `window`: length in bp of the sequence around it; that of training if None. Raises InputError for weights, a
    reference, an organism, a variant or a region that lead nowhere, and for both or neither of the last two.
    """
    from alphagenome.data import genome
    from alphagenome.models.variant_scorers import RECOMMENDED_VARIANT_SCORERS, tidy_scores

    from megabase.genome.reference import Reference
    from megabase.genome.regions import parse_region
    from megabase.report.loci import transcripts
    from megabase.report.variant import write_page
    from megabase.scoring.dna_model import load
    from megabase.scoring.engine import check_length
    from megabase.scoring.interface import our_variant
    from megabase.scoring.references import found_reference
    from megabase.scoring.sequences import window as around

    if (variant is None) == (region is None):
        raise InputError("a page is of one variant or region", where="page", remedy="give --variant or --region")
    name, assembly = described_organism(weights, organism)
    folder = reference or found_reference(weights, name, assembly)
    built = Reference.open(folder)
    model = load(weights, {name: folder}, reverse_complement_average=not single_strand)
    length = window or int(model.description["window_length"])
    check_length(length)
    who = model.organism_of(name)
    asked = {"organism": who, "requested_outputs": list(_outputs(model, who)), "ontology_terms": None}
    own = None
    if variant is not None:
        own = _parsed(variant)
        if own.chromosome not in built.sizes:
            known = ", ".join(list(built.sizes)[:8])
            raise InputError(f"no chromosome {own.chromosome}", where="--variant", remedy=f"choose from {known}")
        interval = genome.Interval(*around(our_variant(own), length))
        both = model.predict_variant(interval, own, **asked)
        outputs = {"REF": both.reference, "ALT": both.alternate}
        scored = tidy_scores([model.score_variant(interval, own, organism=who)])
        names = {str(scorer): short for short, scorer in RECOMMENDED_VARIANT_SCORERS.items()}
        scores = scored.assign(variant_scorer=[names[str(one)] for one in scored["variant_scorer"]])
    else:
        place = parse_region(str(region), built.sizes, where="--region")
        middle = (place.start + place.end) // 2
        interval = genome.Interval(place.chrom, middle - length // 2, middle - length // 2 + length)
        if place.end - place.start > length:
            what = f"{region} is longer than the window of {length:,} bp"
            raise InputError(what, where="--region", remedy="give a larger --window or a shorter region")
        outputs, scores = {"REF": model.predict_interval(interval, **asked)}, None
    facts = [
        ("model", str(weights)),
        ("weights (SHA-256)", model.description["weights_sha256"]),
        ("organism", name),
        ("assembly", built.assembly),
        ("window", f"{length:,} bp"),
        ("strands", "forward" if single_strand else "mean of both"),
    ]
    write_page(out, interval, outputs, transcripts(built.genes(), built.exons(), interval), facts, own, scores)
    return out


def _outputs(model: DnaModel, organism: Organism) -> list[OutputType]:
    """The output types that the model has tracks of."""
    from alphagenome.models.dna_output import OutputType

    metadata = model.output_metadata(organism)
    return [kind for kind in OutputType if getattr(metadata, kind.name.lower()) is not None]


def _parsed(text: str) -> genome.Variant:
    from alphagenome.data import genome

    found = _VARIANT.match(text)
    if not found or found[3].upper() == found[4].upper():
        remedy = "give chromosome, 1-based position and alleles, such as chr1:21462:A>G"
        raise InputError(f"`{text}` is no variant", where="--variant", remedy=remedy)
    return genome.Variant(found[1], int(found[2]), found[3].upper(), found[4].upper())
