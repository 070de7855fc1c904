"""A trained model behind the interface of the `alphagenome` package: a notebook written for the hosted service runs
after changing the line that creates the model."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from alphagenome.data import genome, ontology
from alphagenome.interpretation.ism import ism_variants
from alphagenome.models import dna_model, variant_scorers
from alphagenome.models.dna_model import DEFAULT_MAX_WORKERS, Organism
from alphagenome.models.dna_output import Output, OutputMetadata, OutputType, VariantOutput
from alphagenome.models.interval_scorers import RECOMMENDED_INTERVAL_SCORERS, IntervalScorerTypes
from alphagenome.models.variant_scorers import VariantScorerTypes
from anndata import AnnData
from jaxtyping import UInt8
from tqdm.auto import tqdm

from megabase.errors import InputError
from megabase.genome.sequence import encode, reverse_complement
from megabase.model.weights import load as load_weights
from megabase.scoring.engine import Asked, Engine, check_length
from megabase.scoring.interface import of_ontology, organism_names, our_region, our_scorer, our_variant
from megabase.scoring.interface import output_metadata as metadata_of_all
from megabase.scoring.intervals import gene_scores, genes_of
from megabase.scoring.outputs import output_of, scores_of
from megabase.scoring.prediction import Predicted
from megabase.scoring.scorers import scores
from megabase.scoring.vcf import Variant

logger = logging.getLogger(__name__)
Terms = Iterable[ontology.OntologyTerm | str] | None
_WINDOWS = ("center", "contacts")
_NAMES = {scorer: name for name, scorer in variant_scorers.RECOMMENDED_VARIANT_SCORERS.items()}


def load(
    path: str | Path,
    reference: str | Path | Mapping[str, str | Path] | None = None,
    *,
    batch: int = 1,
    reverse_complement_average: bool = False,
) -> DnaModel:
    """The model in a folder, such as `results/demo/models/student`, with the interface of the hosted service.

    `reference`: folder of its reference, or folders by the model's organisms; looked for under `data/` where it is not
    given, and only when it is needed. `batch`: sequences, or variants, that are predicted at once (on several devices,
    the next multiple of their number). `reverse_complement_average`: mean of both strands, in twice the time; the
    hosted service reads one. Where the folder has `quantiles.ORGANISM.parquet` (`megabase calibrate`), scores of the
    recommended scorers have a layer `quantiles`. Raises InputError where there is no model.
    """
    network, description = load_weights(path)
    references = reference if isinstance(reference, Mapping) else dict.fromkeys(description["organisms"], reference)
    return DnaModel(Engine(network, description, Path(path), references, batch, reverse_complement_average))


class DnaModel(dna_model.DnaModel):
    """Predictions and scores of one model. Intervals of any multiple of 2,048 bp, also beyond a chromosome's ends.

    What is predicted for an interval on the minus strand is read from the other strand and given in the order of the
    forward one; indels are aligned, and masks lie, as on the forward strand (docs/scoring.md). `max_workers` is there
    for notebooks and has no meaning: batches take the place of threads.
    """

    def __init__(self, engine: Engine) -> None:
        """As `load` makes it."""
        self._engine = engine
        self._names = organism_names(list(engine.description["organisms"]))

    def predict_sequence(
        self,
        sequence: str,
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        requested_outputs: Iterable[OutputType],
        ontology_terms: Terms,
        interval: genome.Interval | None = None,
    ) -> Output:
        """Predictions for a sequence of A, C, G, T and N. With an interval on the minus strand, the sequence is of that
        strand and the output in the order of the forward one."""
        return self.predict_sequences(
            [sequence],
            organism=organism,
            requested_outputs=requested_outputs,
            ontology_terms=ontology_terms,
            progress_bar=False,
            intervals=None if interval is None else [interval],
        )[0]

    def predict_sequences(
        self,
        sequences: Sequence[str],
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        requested_outputs: Iterable[OutputType],
        ontology_terms: Terms,
        progress_bar: bool = True,
        max_workers: int = DEFAULT_MAX_WORKERS,
        intervals: Sequence[genome.Interval] | None = None,
    ) -> list[Output]:
        """Predictions for sequences, in batches."""
        codes = [_coded(sequence) for sequence in sequences]
        places: list[genome.Interval | None] = [None] * len(codes) if intervals is None else list(intervals)
        if [len(own) for own in codes] != [
            len(o) if p is None else p.width for o, p in zip(codes, places, strict=False)
        ]:
            raise InputError("intervals of other widths than the sequences", where="intervals", remedy="give their own")
        forward = [reverse_complement(c) if _minus(p) else c for c, p in zip(codes, places, strict=True)]
        return self._predicted(forward, places, organism, requested_outputs, ontology_terms, progress_bar)

    def predict_interval(
        self,
        interval: genome.Interval,
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        requested_outputs: Iterable[OutputType],
        ontology_terms: Terms,
    ) -> Output:
        """Predictions for an interval of the reference."""
        return self.predict_intervals(
            [interval],
            organism=organism,
            requested_outputs=requested_outputs,
            ontology_terms=ontology_terms,
            progress_bar=False,
        )[0]

    def predict_intervals(
        self,
        intervals: Sequence[genome.Interval],
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        requested_outputs: Iterable[OutputType],
        ontology_terms: Terms,
        progress_bar: bool = True,
        max_workers: int = DEFAULT_MAX_WORKERS,
    ) -> list[Output]:
        """Predictions for intervals, in batches."""
        name = self._organism(organism)
        codes = [self._engine.codes(name, our_region(interval)) for interval in intervals]
        return self._predicted(codes, list(intervals), organism, requested_outputs, ontology_terms, progress_bar)

    def predict_variant(
        self,
        interval: genome.Interval,
        variant: genome.Variant,
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        requested_outputs: Iterable[OutputType],
        ontology_terms: Terms,
    ) -> VariantOutput:
        """Predictions for both alleles. ALT's tracks are along ALT's own sequence; junctions of both are between the
        same sites, in the reference's coordinates."""
        return self.predict_variants(
            interval,
            [variant],
            organism=organism,
            requested_outputs=requested_outputs,
            ontology_terms=ontology_terms,
            progress_bar=False,
        )[0]

    def predict_variants(
        self,
        intervals: genome.Interval | Sequence[genome.Interval],
        variants: Sequence[genome.Variant],
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        requested_outputs: Iterable[OutputType],
        ontology_terms: Terms,
        progress_bar: bool = True,
        max_workers: int = DEFAULT_MAX_WORKERS,
    ) -> list[VariantOutput]:
        """Predictions for both alleles of each variant, in batches."""
        name, bundles = self._organism(organism), self._requested(organism, requested_outputs)
        terms = None if ontology_terms is None else list(ontology_terms)
        pairs = list(zip(_each_interval(intervals, variants), variants, strict=True))
        asked = [self._engine.ask(name, our_variant(v), our_region(i), _minus(i)) for i, v in pairs]
        predicted = self._engine.predicted_alleles(name, asked, bundles)
        bar = tqdm(predicted, total=len(pairs), disable=not progress_bar)
        return [
            VariantOutput(*self._outputs(organism, both, [interval] * 2, terms))
            for (interval, _), both in zip(pairs, bar, strict=True)
        ]

    def score_interval(
        self,
        interval: genome.Interval,
        interval_scorers: Sequence[IntervalScorerTypes] = (),
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        merge_stranded_gene_tracks: bool = True,
    ) -> list[AnnData]:
        """Scores of the genes that start in the middle of an interval: mean or sum over their exons there.

        The recommended scorer looks at 200,001 bp, or at all of a shorter interval.
        """
        chosen = list(interval_scorers)
        for scorer in chosen:
            if scorer.width is not None and scorer.width > interval.width:
                what = f"a scorer of {scorer.width:,} bp for an interval of {interval.width:,} bp"
                raise InputError(what, where="interval_scorers", remedy="give a wider interval")
        _distinct(chosen, "interval_scorers")
        name, region = self._organism(organism), our_region(interval)
        tables, annotation = self._engine.tables(name), self._engine.annotation(name)
        if not chosen:
            chosen = [
                s if s.width <= interval.width else type(s)(s.requested_output, None, s.aggregation_type)
                for s in RECOMMENDED_INTERVAL_SCORERS.values()
            ]
        bundles = frozenset(scorer.requested_output.name for scorer in chosen if scorer.requested_output.name in tables)
        genes = [genes_of(scorer, interval, annotation) for scorer in chosen]
        masks = [mask for own in genes for _, mask in own]
        codes = self._engine.codes(name, region)
        sums = self._engine.sums(name, _minus(interval), bundles, codes, masks) if bundles and masks else {}
        made, first = [], 0
        for scorer, own in zip(chosen, genes, strict=True):
            bundle = scorer.requested_output.name
            found = list(gene_scores(scorer, own, sums[bundle][first : first + len(own)])) if bundle in sums else []
            about = {"interval": interval, "interval_scorer": scorer}
            made.append(scores_of(bundle, tables.get(bundle), found, True, about, merge_stranded_gene_tracks))
            first += len(own)
        return made

    def score_intervals(
        self,
        intervals: Sequence[genome.Interval],
        interval_scorers: Sequence[IntervalScorerTypes] = (),
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        progress_bar: bool = True,
        max_workers: int = DEFAULT_MAX_WORKERS,
        merge_stranded_gene_tracks: bool = True,
    ) -> list[list[AnnData]]:
        """`score_interval` of each."""
        score = functools.partial(
            self.score_interval, organism=organism, merge_stranded_gene_tracks=merge_stranded_gene_tracks
        )
        return [score(interval, interval_scorers) for interval in tqdm(intervals, disable=not progress_bar)]

    def score_variant(
        self,
        interval: genome.Interval,
        variant: genome.Variant,
        variant_scorers: Sequence[VariantScorerTypes] = (),
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        merge_stranded_gene_tracks: bool = True,
    ) -> list[AnnData]:
        """Scores of one variant by each scorer; by the recommended ones if none is given."""
        return self.score_variants(
            interval,
            [variant],
            variant_scorers,
            organism=organism,
            progress_bar=False,
            merge_stranded_gene_tracks=merge_stranded_gene_tracks,
        )[0]

    def score_variants(
        self,
        intervals: genome.Interval | Sequence[genome.Interval],
        variants: Sequence[genome.Variant],
        variant_scorers: Sequence[VariantScorerTypes] = (),
        *,
        organism: Organism = Organism.HOMO_SAPIENS,
        progress_bar: bool = True,
        max_workers: int = DEFAULT_MAX_WORKERS,
        merge_stranded_gene_tracks: bool = True,
    ) -> list[list[AnnData]]:
        """Scores of variants, in batches. Those that follow each other in one interval share its reference pass."""
        name = self._organism(organism)
        pairs = list(zip(_each_interval(intervals, variants), variants, strict=True))
        asked = [self._engine.ask(name, our_variant(v), our_region(i), _minus(i)) for i, v in pairs]
        return self._scored(asked, pairs, variant_scorers, organism, merge_stranded_gene_tracks, progress_bar)

    def score_ism_variants(
        self,
        interval: genome.Interval,
        ism_interval: genome.Interval,
        variant_scorers: Sequence[VariantScorerTypes] = (),
        *,
        interval_variant: genome.Variant | None = None,
        organism: Organism = Organism.HOMO_SAPIENS,
        progress_bar: bool = True,
        max_workers: int = DEFAULT_MAX_WORKERS,
        merge_stranded_gene_tracks: bool = True,
    ) -> list[list[AnnData]]:
        """Scores of every change of one base in `ism_interval`, which lies in `interval`; N is left out.

        With `interval_variant`, of its alternative allele, whose bases count from the interval's start.
        """
        if ism_interval.negative_strand or not interval.contains(ism_interval):
            remedy = "give a part of the interval, on the forward strand"
            raise InputError(f"{ism_interval} in {interval}", where="ism_interval", remedy=remedy)
        name, region = self._organism(organism), our_region(interval)
        codes = self._engine.codes(name, region)
        if interval_variant is not None:
            codes = self._engine.ask(name, our_variant(interval_variant), region, False).codes()[1]
        first = ism_interval.start - interval.start
        letters = "".join("ACGTN"[code] for code in codes[first : first + ism_interval.width])
        variants = ism_variants(ism_interval, letters, skip_n=True)
        changed = functools.partial(_changed, codes, region.start)
        asked = [
            Asked(own, region, _minus(interval), True, functools.partial(changed, own))
            for own in map(our_variant, variants)
        ]
        pairs = [(interval, variant) for variant in variants]
        return self._scored(asked, pairs, variant_scorers, organism, merge_stranded_gene_tracks, progress_bar)

    def output_metadata(self, organism: Organism = Organism.HOMO_SAPIENS) -> OutputMetadata:
        """The tracks of each output type."""
        return metadata_of_all(self._engine.tables(self._organism(organism)))

    @property
    def description(self) -> dict[str, Any]:
        """What the model says about itself: `model.json`."""
        return self._engine.description

    def organism_of(self, name: str) -> Organism:
        """What stands here for an organism of the model. Raises InputError for a name that it does not know."""
        for organism, own in self._names.items():
            if own == name:
                return organism
        remedy = f"choose from {', '.join(self._names.values())}"
        raise InputError(f"the model knows no organism `{name}`", where="organism", remedy=remedy)

    def _organism(self, organism: Organism) -> str:
        if organism not in self._names:
            known = ", ".join(own.name for own in self._names)
            raise InputError(f"the model knows no {organism.name}", where="organism", remedy=f"choose from {known}")
        return self._names[organism]

    def _requested(self, organism: Organism, requested: Iterable[OutputType]) -> frozenset[str]:
        """The bundles that are asked for and that the organism has tracks of; the others are missing in the output."""
        wanted = {kind.name for kind in requested}
        found = wanted & self._engine.tables(self._organism(organism)).keys()
        if not found:
            what = f"the model has no tracks for {', '.join(sorted(wanted)) or 'no output'}"
            remedy = "ask for what output_metadata() lists"
            raise InputError(what, where="requested_outputs", remedy=remedy)
        if wanted - found:
            logger.warning("the model has no tracks for %s", ", ".join(sorted(wanted - found)))
        return frozenset(found)

    def _predicted(
        self,
        codes: Sequence[UInt8[np.ndarray, " S"]],
        intervals: Sequence[genome.Interval | None],
        organism: Organism,
        requested: Iterable[OutputType],
        terms: Terms,
        progress_bar: bool,
    ) -> list[Output]:
        bundles = self._requested(organism, requested)
        minus = [_minus(interval) for interval in intervals]
        read = self._engine.predicted(self._organism(organism), codes, minus, bundles)
        bar = tqdm(read, total=len(codes), disable=not progress_bar)
        return self._outputs(organism, bar, intervals, terms)

    def _outputs(
        self,
        organism: Organism,
        predicted: Iterable[Predicted],
        intervals: Sequence[genome.Interval | None],
        terms: Terms,
    ) -> list[Output]:
        tables = self._engine.tables(self._organism(organism))
        wanted = None if terms is None else list(terms)
        kept = {bundle: of_ontology(table, wanted) for bundle, table in tables.items()}
        return [output_of(own, tables, kept, place) for own, place in zip(predicted, intervals, strict=True)]

    def _scored(
        self,
        asked: Sequence[Asked],
        pairs: Sequence[tuple[genome.Interval, genome.Variant]],
        given: Sequence[VariantScorerTypes],
        organism: Organism,
        merged: bool,
        progress_bar: bool,
    ) -> list[list[AnnData]]:
        name = self._organism(organism)
        tables = self._engine.tables(name)
        public = list(given) or variant_scorers.get_recommended_scorers(organism.to_proto())
        _distinct(public, "variant_scorers")
        own = [our_scorer(scorer) for scorer in public]
        usable = tuple(scorer for scorer in own if scorer.bundle in tables)
        if not usable:
            raise InputError("the model has no tracks to score", where="variant_scorers", remedy="give other scorers")
        made, calibration = [], self._engine.calibration(name)
        seen = self._engine.compared(name, asked, usable)
        for (interval, variant), (setting, compared) in zip(
            pairs, tqdm(seen, total=len(pairs), disable=not progress_bar), strict=True
        ):
            row = []
            for scorer, ours in zip(public, own, strict=True):
                found = list(scores(ours, setting, compared)) if ours.bundle in tables else []
                about = {"interval": interval, "variant": variant, "variant_scorer": scorer}
                quantiles = None
                if calibration is not None and scorer in _NAMES:
                    named = dataclasses.replace(ours, name=_NAMES[scorer])
                    quantiles = [calibration.quantiles(named, values) for _, _, values, _ in found]
                of_genes, table = ours.family not in _WINDOWS, tables.get(ours.bundle)
                row.append(scores_of(ours.bundle, table, found, of_genes, about, merged, quantiles))
            made.append(row)
        return made


def _minus(interval: genome.Interval | None) -> bool:
    return interval is not None and interval.negative_strand


def _coded(sequence: str) -> UInt8[np.ndarray, " S"]:
    if others := set(sequence) - set("ACGTN"):
        remedy = "give A, C, G, T and N"
        raise InputError(f"a sequence with {', '.join(sorted(others))}", where="sequence", remedy=remedy)
    check_length(len(sequence))
    return encode(sequence)


def _changed(codes: UInt8[np.ndarray, " S"], start: int, variant: Variant) -> UInt8[np.ndarray, "2 S"]:
    """REF and ALT of a change of one base, where the codes are what is around it from `start` on."""
    both = np.stack([codes, codes])
    both[1, variant.start - start] = encode(variant.alt)[0]
    return both


def _distinct(scorers: Sequence[Any], where: str) -> None:
    if len(set(scorers)) < len(scorers):
        raise InputError("a scorer is given twice", where=where, remedy="give each once")


def _each_interval(
    intervals: genome.Interval | Sequence[genome.Interval], variants: Sequence[genome.Variant]
) -> list[genome.Interval]:
    if isinstance(intervals, genome.Interval):
        return [intervals] * len(variants)
    if len(intervals) != len(variants):
        what = f"{len(intervals)} intervals for {len(variants)} variants"
        raise InputError(what, where="intervals", remedy="give one, or one for each variant")
    return list(intervals)
