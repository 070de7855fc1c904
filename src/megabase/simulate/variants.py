"""Planted variants with a known effect on a true rate, and matched controls without one.

Controls lie beside motifs of open elements, as the planted ones do in them: what tells the two apart is the change
alone. Quiet ones lie where nothing goes on in that biosample, which is what predictions of activity can see.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from megabase.artifacts import atomic_path
from megabase.simulate.activity import Activity, activity
from megabase.simulate.config import WorldConfig
from megabase.simulate.effects import CENTRE, EXPRESSED, WIDE, Condition, Effect, effect
from megabase.simulate.genome import Chromosome, generator, motif_lengths
from megabase.simulate.grammar import MOTIF_INDEX, MOTIFS
from megabase.simulate.rates import CHIP_TARGETS, HISTONE_MARKS
from megabase.simulate.splicing import site_places, site_usage

MODALITIES = ("accessibility", "binding", "histone", "expression", "splicing", "polyadenylation", "contacts")
PLANTED, CONTROL = 0.5, 0.03
"""log2 fold change that a planted variant has at least, and a control at most."""
QUIETED = ("accessibility", "binding", "histone", "expression")
"""Modalities that are or are not active at a place: those with quiet variants."""
CLEAR = {"splicing": 0.2}
"""`Effect.size` that planted variants have at least, where the fold change does not say it all: change of usage."""
LONGEST_INDEL = 8
"""Bases inserted or deleted at most."""
INDEL_SHARE = 0.2
BESIDE = 90
"""Distance from the end of a motif within which controls are placed, in bp."""
_ATTEMPTS = 150
_OPEN = 0.06
"""Openness of the elements in which variants are placed, at least; quiet ones at most."""
_ELEMENT = 150
"""Reach of an element's signal from its middle, in bp."""
_MEASURED_BY = {
    "DNASE": ("accessibility",),
    "ATAC": ("accessibility",),
    "CHIP_TF": ("binding",),
    "CHIP_HISTONE": ("histone",),
    "RNA_SEQ": ("expression", "polyadenylation"),
    "SPLICE_JUNCTIONS": ("splicing",),
    "CONTACT_MAPS": ("contacts",),
}


@dataclasses.dataclass(frozen=True)
class Variant:
    """One change of the sequence and what it does."""

    variant_id: str
    chromosome: str
    position: int
    """0-based, of the first base of `ref`."""
    ref: str
    alt: str
    role: str
    """planted, control or quiet."""
    modality: str
    effect: float
    """log2 fold change of the true quantity."""
    biosample: str
    """Where it is strongest."""
    target: str = ""
    """Of the ChIP, for binding and histone."""
    gene_id: str = ""
    match: str = ""
    """For a control or quiet one, the planted variant it belongs to."""


def measured(experiments: Iterable[tuple[str, str, str]]) -> dict[str, list[Condition]]:
    """From the bundle, biosample and target of each experiment: what shows the variants of each modality."""
    found: dict[str, list[Condition]] = {}
    for bundle, biosample, target in sorted(set(experiments)):
        for modality in _MEASURED_BY.get(bundle, ()):
            if (biosample, target) not in found.setdefault(modality, []):
                found[modality].append((biosample, target))
    return found


def plan_variants(
    organism: str,
    chromosomes: list[Chromosome],
    biosamples: Iterable[str],
    config: WorldConfig,
    conditions: Mapping[str, list[Condition]] | None = None,
) -> list[Variant]:
    """`config.variants` planted variants of every modality with as many controls, and in those of `QUIETED` as many
    quiet ones, where the chromosomes have places for them; sorted by place.

    `conditions` (of `measured`): the biosamples and targets in which a modality is seen; by default all. Effects are
    those on the true rate of the changed sequence. Half of the planted variants make a motif stronger, if any can.
    """
    if conditions is None:
        conditions = _everything(list(biosamples))
    found: list[Variant] = []
    for modality in MODALITIES:
        if conditions.get(modality):
            planner = _Planner(organism, modality, chromosomes, conditions[modality], config)
            pairs = planner.plan(config.variants)
            found += [one for pair in pairs for one in (pair.planted, pair.control)]
            if modality in QUIETED:
                found += planner.quiet(pairs, generator(config, organism, "variants", modality, "quiet"))
    order = {chromosome.name: index for index, chromosome in enumerate(chromosomes)}
    return sorted(found, key=lambda one: (order[one.chromosome], one.position, one.ref, one.alt, one.variant_id))


def write_vcf(
    path: Path, variants: Iterable[Variant], sizes: Mapping[str, int], curies: Mapping[str, str], assembly: str
) -> None:
    """VCFv4.2; `sizes` of the chromosomes, `curies` of the biosamples."""
    fields = {
        "ROLE": ("String", "planted, control or quiet"),
        "MODALITY": ("String", "What the variant changes, or its match does"),
        "EFFECT": ("Float", "log2 fold change of the true quantity"),
        "CURIE": ("String", "Ontology term of the biosample where it is strongest"),
        "TARGET": ("String", "Target of the ChIP"),
        "GENE": ("String", "Gene that is changed"),
        "MATCH": ("String", "The planted variant that a control or quiet one belongs to"),
    }
    lines = ["##fileformat=VCFv4.2", f"##reference={assembly}"]
    lines += [f"##contig=<ID={name},length={size},assembly={assembly}>" for name, size in sizes.items()]
    lines += [f'##INFO=<ID={name},Number=1,Type={kind},Description="{text}">' for name, (kind, text) in fields.items()]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for one in variants:
        values = {
            "ROLE": one.role,
            "MODALITY": one.modality,
            "EFFECT": f"{one.effect:.4f}",
            "CURIE": curies[one.biosample],
            "TARGET": one.target,
            "GENE": one.gene_id,
            "MATCH": one.match,
        }
        info = ";".join(f"{name}={value}" for name, value in values.items() if value)
        place = f"{one.chromosome}\t{one.position + 1}\t{one.variant_id}"
        lines.append(f"{place}\t{one.ref}\t{one.alt}\t.\tPASS\t{info}")
    with atomic_path(path) as partial:
        Path(partial).write_text("\n".join(lines) + "\n")


def _everything(biosamples: list[str]) -> dict[str, list[Condition]]:
    targets = {"binding": CHIP_TARGETS, "histone": HISTONE_MARKS}
    return {
        modality: [(one, target) for one in biosamples for target in targets.get(modality, ("",))]
        for modality in MODALITIES
    }


def _usage(chromosome: Chromosome, biosample: str) -> Float[np.ndarray, " sites"]:
    """Of each splice site among the motif instances; 0 for others and for those that are hardly used."""
    table = site_usage(chromosome, biosample)
    keys = zip(table["gene_id"], table["position"].tolist(), table["kind"], strict=True)
    used = dict(zip(keys, table["value"].tolist(), strict=True))
    usage = np.zeros(len(chromosome.sites.motif))
    for site, position, kind in site_places(chromosome):
        gene = chromosome.genes[chromosome.sites.gene[site]].gene_id
        usage[site] = used.get((gene, position, kind), 0.0)
    return usage


Codes = UInt8[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True)
class _Subject:
    """A motif instance that does something in a condition."""

    chromosome: int
    site: int
    condition: Condition
    gene_id: str = ""
    level: float = 0.0
    """Openness of its element, or usage of its splice site."""


@dataclasses.dataclass(frozen=True)
class _Edit:
    position: int
    ref: Codes
    alt: Codes


class _Pair(NamedTuple):
    """A planted variant, how it was made, and its control."""

    subject: _Subject
    edit: _Edit
    planted: Variant
    control: Variant


class _Planner:
    """Variants of one modality."""

    def __init__(
        self,
        organism: str,
        modality: str,
        chromosomes: list[Chromosome],
        conditions: list[Condition],
        config: WorldConfig,
    ) -> None:
        self.organism, self.modality, self.chromosomes, self.conditions = organism, modality, chromosomes, conditions
        self.rng = generator(config, organism, "variants", modality)
        self.taken: set[tuple[int, int]] = set()
        self.subjects = self._all_subjects()
        self.closed = self.opened = self.subjects
        if modality in ("accessibility", "binding", "histone"):
            # What is open cannot open more; what is closed, or has more motifs than it needs, cannot close.
            self.closed = [one for one in self.subjects if one.level < 0.5]
            self.opened = [one for one in self.subjects if 0.3 < one.level < 0.9]
        elif modality == "splicing":
            # A site that is always used cannot be used more, and one that hardly is cannot be used less.
            self.closed = [one for one in self.subjects if one.level < 0.8]
            self.opened = [one for one in self.subjects if one.level > 0.25]

    def plan(self, count: int) -> list[_Pair]:
        """Planted variants and their controls."""
        found: list[_Pair] = []
        for number in range(count):
            pair = self._pair(number, stronger=bool(number % 2))
            if pair is None:
                break
            found.append(pair)
        return found

    def quiet(self, pairs: list[_Pair], rng: np.random.Generator) -> list[Variant]:
        """Of each planted variant that has a place for it: its change in an element of the same kind that is closed
        where the variant shows, or in the promoter of a gene that is not expressed there."""
        # Drawn by themselves: the pairs are the same with and without them.
        self.rng, subjects, found = rng, self._all_subjects(quiet=True), []
        for subject, edit, planted, _ in pairs:
            shown = dataclasses.replace(subject, condition=(planted.biosample, planted.target))
            made = self._control(shown, edit, subjects)
            if made is not None:
                name, effect = f"{planted.variant_id}_quiet", made[2][shown.condition].fold
                one = self._variant(name, made[0], made[1], "quiet", effect, shown.condition)
                found.append(dataclasses.replace(one, match=planted.variant_id))
        return found

    def _pair(self, number: int, stronger: bool) -> _Pair | None:
        """A planted variant and its control; None if the chromosomes have no more."""
        for attempt in range(_ATTEMPTS if self.opened else 0):
            # Few motifs can become much stronger: half of the attempts are spent on these, then any change will do.
            strengthen = stronger and attempt < _ATTEMPTS // 2 and len(self.closed) > 0
            pool = self.closed if strengthen else self.opened
            subject = pool[self.rng.integers(len(pool))]
            edit = self._edit(subject, strengthen)
            if edit is None or (subject.chromosome, edit.position) in self.taken:
                continue
            one = self._effects(subject, edit, [subject.condition])[subject.condition]
            if not self._shows(one):
                continue
            control = self._control(subject, edit, self.subjects)
            if control is None:
                continue
            name = f"{self.organism}_{self.modality}_{number + 1}"
            effects = self._effects(subject, edit, self.conditions)
            # Of equals, the one for which the motif was chosen.
            shown = [one for one in effects if self._shows(effects[one])]
            strongest = max(shown, key=lambda one: (round(effects[one].size, 6), one == subject.condition))
            planted = self._variant(name, subject, edit, "planted", effects[strongest].fold, strongest)
            beside = self._variant(
                f"{name}_control", control[0], control[1], "control", control[2][strongest].fold, strongest
            )
            return _Pair(subject, edit, planted, dataclasses.replace(beside, match=name))
        return None

    def _shows(self, one: Effect) -> bool:
        return abs(one.fold) >= PLANTED and one.size >= CLEAR.get(self.modality, PLANTED)

    def _all_subjects(self, quiet: bool = False) -> list[_Subject]:
        return [
            subject
            for index, chromosome in enumerate(self.chromosomes)
            for biosample in sorted({condition[0] for condition in self.conditions})
            for subject in self._subjects(index, chromosome, biosample, activity(chromosome, biosample), quiet)
        ]

    def _subjects(
        self, index: int, chromosome: Chromosome, biosample: str, state: Activity, quiet: bool
    ) -> list[_Subject]:
        """The motif instances of a chromosome that variants of this modality change or are placed beside; or those of
        closed elements and of genes that are not expressed."""
        sites, conditions = chromosome.sites, [one for one in self.conditions if one[0] == biosample]
        open_ = np.zeros(len(sites.motif))
        inside = sites.element >= 0
        open_[inside] = state.openness[sites.element[inside]]
        level = _usage(chromosome, biosample) if self.modality == "splicing" else open_
        expressed = {gene.gene_id: float(rate) for gene, rate in zip(chromosome.genes, state.expression, strict=True)}
        kinds = np.array([*chromosome.elements.kind, ""], dtype=object)[sites.element]
        factors = ~sites.of("TATA", "INR") & inside
        awake = inside & self._far(chromosome, state) if quiet else open_ > _OPEN
        found = []
        for condition in conditions:
            genes = np.full(len(sites.motif), -1)
            if self.modality == "accessibility":
                chosen = factors & (kinds != "decoy") & awake
            elif self.modality == "binding":
                chosen = (sites.motif == MOTIF_INDEX[condition[1]]) & (kinds != "decoy") & awake
            elif self.modality == "histone":
                marked = ("promoter",) if condition[1] == "H3K4me3" else ("promoter", "enhancer")
                chosen = factors & np.isin(kinds, marked) & awake
            elif self.modality == "contacts":
                chosen = (sites.motif == MOTIF_INDEX["CTCF"]) & (kinds != "decoy") & awake
            elif self.modality == "expression":
                owner = {gene.promoter: number for number, gene in enumerate(chromosome.genes)}
                genes = np.array([owner.get(element, -1) for element in sites.element.tolist()])
                chosen = genes >= 0
            else:
                motifs = ("DONOR", "ACCEPTOR") if self.modality == "splicing" else ("POLYA",)
                both = np.array([len(gene.polya) > 1 for gene in chromosome.genes] + [False])
                chosen = sites.of(*motifs) & (sites.gene >= 0) & (both[sites.gene] | (self.modality == "splicing"))
                genes = sites.gene
            for site in np.flatnonzero(chosen).tolist():
                name = chromosome.genes[genes[site]].gene_id if genes[site] >= 0 else ""
                if not name or (expressed[name] > EXPRESSED) != quiet:
                    found.append(_Subject(index, site, condition, name, float(level[site])))
        return found

    def _far(self, chromosome: Chromosome, state: Activity) -> Bool[np.ndarray, " sites"]:
        """Motif instances so far from every open element that its signal does not reach the window around them."""
        opened = chromosome.elements.anchor[state.openness > _OPEN]
        nearest = np.abs(chromosome.sites.start[:, None] - opened).min(axis=1, initial=len(chromosome))
        return nearest > (WIDE if self.modality == "histone" else CENTRE) // 2 + _ELEMENT

    def _effects(self, subject: _Subject, edit: _Edit, conditions: list[Condition]) -> dict[Condition, Effect]:
        chromosome = self.chromosomes[subject.chromosome]
        return effect(self.modality, chromosome, edit.position, edit.ref, edit.alt, conditions, subject.gene_id)

    def _edit(self, subject: _Subject, stronger: bool) -> _Edit | None:
        """A change of a motif that may matter: one base, or a few inserted or deleted."""
        chromosome, rng = self.chromosomes[subject.chromosome], self.rng
        sites = chromosome.sites
        motif = MOTIFS[list(MOTIFS)[sites.motif[subject.site]]]
        start, forward = int(sites.start[subject.site]), sites.strand[subject.site] > 0
        kept = motif.probabilities.max(axis=1)[:: 1 if forward else -1]
        consensus = motif.probabilities.argmax(axis=1)
        wanted = consensus if forward else 3 - consensus[::-1]
        here = chromosome.codes[start : start + len(motif)]
        if stronger:
            weak = np.flatnonzero((here != wanted) & (kept >= 0.7))
            if len(weak) == 0:
                return None
            at = int(rng.choice(weak, p=kept[weak] ** 4 / (kept[weak] ** 4).sum()))
            return self._at(chromosome, start + at, 1, wanted[at : at + 1].astype(np.uint8))
        strong = np.flatnonzero((here == wanted) & (kept >= 0.85))
        if len(strong) == 0:
            return None
        at = int(rng.choice(strong))
        if rng.random() >= INDEL_SHARE:
            return self._at(chromosome, start + at, 1, ((here[at : at + 1] + rng.integers(1, 4)) % 4).astype(np.uint8))
        size = int(rng.integers(1, LONGEST_INDEL + 1))
        if rng.random() < 0.5:
            return self._at(chromosome, start + at - 1, 1 + size, here[:0])
        return self._at(chromosome, start + at - 1, 1, rng.integers(0, 4, size).astype(np.uint8), insert=True)

    def _at(self, chromosome: Chromosome, position: int, length: int, alt: Codes, insert: bool = False) -> _Edit | None:
        """The edit in the form of VCF: indels begin with the base before, as far to the left as they can be."""
        if position < 1 or position + length > len(chromosome):
            return None
        ref = chromosome.codes[position : position + length]
        if length == 1 and not insert:
            return _Edit(position, ref, alt)
        alt = np.concatenate([ref[:1], alt])
        while position > 0 and ref[-1] == alt[-1]:
            position -= 1
            before = chromosome.codes[position : position + 1]
            ref, alt = np.concatenate([before, ref[:-1]]), np.concatenate([before, alt[:-1]])
        return _Edit(position, ref, alt)

    def _control(
        self, planted: _Subject, edit: _Edit, subjects: list[_Subject]
    ) -> tuple[_Subject, _Edit, dict[Condition, Effect]] | None:
        """The same change beside, not in, the motifs of another of `subjects`, where it does nothing."""
        for _ in range(_ATTEMPTS if subjects else 0):
            subject = subjects[self.rng.integers(len(subjects))]
            if subject.condition != planted.condition or self._kind(subject) != self._kind(planted):
                continue
            found = self._beside(planted, subject, edit)
            if found is None or (subject.chromosome, found.position) in self.taken:
                continue
            effects = self._effects(subject, found, self.conditions)
            if all(abs(one.fold) <= CONTROL for one in effects.values()):
                return subject, found, effects
        return None

    def _kind(self, subject: _Subject) -> str:
        """The kind of its element, or its motif where it belongs to none."""
        chromosome = self.chromosomes[subject.chromosome]
        element = int(chromosome.sites.element[subject.site])
        return chromosome.elements.kind[element] if element >= 0 else list(MOTIFS)[chromosome.sites.motif[subject.site]]

    def _beside(self, planted: _Subject, subject: _Subject, edit: _Edit) -> _Edit | None:
        """The change of `edit` near a subject, on the same side of its splice site as the planted variant is."""
        chromosome = self.chromosomes[subject.chromosome]
        start = int(chromosome.sites.start[subject.site])
        length = int(motif_lengths()[chromosome.sites.motif[subject.site]])
        first, last = max(2, start - BESIDE), min(len(chromosome) - 20, start + length + BESIDE)
        places = np.arange(first, last)
        near = np.abs(chromosome.sites.start - start) < 2 * BESIDE
        width = max(len(edit.ref), len(edit.alt))
        free = np.ones(len(places), dtype=bool)
        for at, size in zip(chromosome.sites.start[near], motif_lengths()[chromosome.sites.motif[near]], strict=True):
            free &= (places + width < at) | (places > at + size)
        if self.modality == "splicing":
            free &= self._exonic(subject, places) == self._exonic(planted, np.array([edit.position]))[0]
        snv = len(edit.ref) == len(edit.alt) == 1
        if snv:
            free &= chromosome.codes[places] == edit.ref[0]
        if not free.any():
            return None
        place = int(self.rng.choice(places[free]))
        if snv:
            return self._at(chromosome, place, 1, edit.alt)
        inserted = self.rng.permutation(edit.alt[1:])
        return self._at(chromosome, place, len(edit.ref), inserted, insert=len(edit.alt) > len(edit.ref))

    def _exonic(self, subject: _Subject, places: np.ndarray) -> np.ndarray:
        """Which places are in exons of the gene of the subject."""
        genes = self.chromosomes[subject.chromosome].genes
        gene = next(one for one in genes if one.gene_id == subject.gene_id)
        return np.any([(places >= start) & (places < end) for start, end in gene.exons], axis=0)

    def _variant(
        self, name: str, subject: _Subject, edit: _Edit, role: str, effect: float, strongest: Condition
    ) -> Variant:
        self.taken.add((subject.chromosome, edit.position))
        ref, alt = ("".join("ACGT"[code] for code in codes) for codes in (edit.ref, edit.alt))
        place = self.chromosomes[subject.chromosome].name, edit.position
        return Variant(name, *place, ref, alt, role, self.modality, effect, *strongest, subject.gene_id)
