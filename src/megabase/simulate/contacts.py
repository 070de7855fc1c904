"""Contacts of the world: decay with distance, open chromatin that keeps to itself, boundaries at CTCF sites, and loops
between convergent ones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from megabase.simulate.activity import activity
from megabase.simulate.genome import Chromosome
from megabase.simulate.grammar import MOTIF_INDEX, MOTIFS

BIN = 1000
"""Resolution of the maps, in bp."""
OFFSETS = 32
"""Diagonals of a band: contacts of up to 31 bins."""

DECAY = 1.0
"""Contacts fall with this power of the distance."""
LOOP, DOMAIN, BOUNDARY = 1.8, 0.6, 0.5
"""Natural log by which a loop, a domain closed by a loop, and a boundary in between change contacts."""
COMPARTMENT = 0.45
"""Natural log by which two bins contact more that are both one deviation more open, or more closed, than the mean."""
_OPEN, _DEVIATION = 0.42, 0.3
"""Mean and deviation of openness, in open elements per kb of the neighbourhood."""
_NEIGHBOURHOOD = 1_000.0
"""Width (standard deviation) of the neighbourhood that is open together, in bp."""
SHORTEST, LONGEST = 3_500, 14_000
"""Distances between two convergent sites that loop, in bp."""
PASSED = 0.4
"""Share of extruding loops that pass an occupied site between the two."""
_SPOT = 1_300.0
"""Width (standard deviation) of the spot of a loop, in bp."""


def log_ratio(
    chromosome: Chromosome, biosample: str, bin: int = BIN, offsets: int = OFFSETS
) -> Float[np.ndarray, "bins offsets"]:
    """Natural log of contacts over those expected at the distance (the mean of the diagonal): entry [i, d] of bins i
    and i + d; NaN outside the chromosome."""
    change = log_change(chromosome, biosample, bin, offsets)
    outside = _outside(change)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.exp(np.where(outside, -np.inf, change)).sum(axis=0) / (~outside).sum(axis=0)
        change = change - np.log(mean)
    change[outside] = np.nan
    return change


def expected_map(
    chromosome: Chromosome, biosample: str, bin: int = BIN, offsets: int = OFFSETS
) -> Float[np.ndarray, "bins offsets"]:
    """Contacts of bins i and i + d, 1 at distance 1 without boundaries and loops; 0 outside the chromosome."""
    change = log_change(chromosome, biosample, bin, offsets)
    decay = np.maximum(np.arange(offsets), 0.5) ** -DECAY
    return np.where(_outside(change), 0.0, decay * np.exp(change))


def log_change(
    chromosome: Chromosome, biosample: str, bin: int = BIN, offsets: int = OFFSETS
) -> Float[np.ndarray, "bins offsets"]:
    """Natural log by which chromatin and CTCF change the contacts of bins i and i + d.

    Bins in open chromatin contact each other more, and so do bins in closed chromatin. Where cohesin extrudes, it stops
    at a site that faces it: a forward site to the left and a reverse one to the right hold a loop, and what lies within
    is in closer contact. Every occupied site is a boundary between its two sides.
    """
    sites, state = chromosome.sites, activity(chromosome, biosample)
    bound = np.flatnonzero((sites.motif == MOTIF_INDEX["CTCF"]) & (sites.element >= 0))
    place = sites.start[bound] + len(MOTIFS["CTCF"]) / 2
    order = np.argsort(place)
    bound, place = bound[order], place[order]
    weight = state.occupancy[bound] * state.openness[sites.element[bound]]

    bins = -(-len(chromosome) // bin)
    middle = (np.arange(bins + offsets) + 0.5) * bin
    # Summed weight of the sites left of each bin's middle, of which a site in the same bin counts in part.
    left = np.clip((middle[:, None] - place) / bin + 0.5, 0, 1) @ weight
    partner = np.arange(bins)[:, None] + np.arange(offsets)
    change = -BOUNDARY * (left[partner] - left[:bins, None])
    compartment = compartment_of(chromosome.elements.anchor, state.openness, middle)
    change += COMPARTMENT * compartment[:bins, None] * compartment[partner]
    for first in np.flatnonzero((sites.strand[bound] > 0) & (weight > 0.02)):
        passing = 1.0
        for second in range(first + 1, len(place)):
            if place[second] - place[first] > LONGEST:
                break
            if sites.strand[bound[second]] < 0 and place[second] - place[first] >= SHORTEST:
                _loop(change, place[first], place[second], weight[first] * weight[second] * passing, bin)
            passing *= 1 - (1 - PASSED) * weight[second]
    return change


def compartment_of(
    anchor: Int[np.ndarray, " elements"], openness: Float[np.ndarray, " elements"], middle: Float[np.ndarray, " bins"]
) -> Float[np.ndarray, " bins"]:
    """How open the neighbourhood of each bin is, in deviations from the mean of the world, within 2 either way."""
    near = np.exp(-0.5 * ((middle[:, None] - anchor) / _NEIGHBOURHOOD) ** 2) / (_NEIGHBOURHOOD * np.sqrt(2 * np.pi))
    density = 1_000 * near @ openness
    return np.clip((density - _OPEN) / _DEVIATION, -2, 2)


def _loop(change: Float[np.ndarray, "bins offsets"], left: float, right: float, strength: float, bin: int) -> None:
    """Adds the spot of a loop and its domain."""
    margin = int(3 * _SPOT) // bin + 1
    rows = np.arange(max(0, int(left) // bin - margin), min(len(change), int(right) // bin + margin + 1))
    begin = (rows[:, None] + 0.5) * bin
    end = begin + np.arange(change.shape[1]) * bin
    spot = np.exp(-0.5 * (((begin - left) / _SPOT) ** 2 + ((end - right) / _SPOT) ** 2))
    inside = np.clip((begin - left) / bin + 0.5, 0, 1) * np.clip((right - end) / bin + 0.5, 0, 1)
    change[rows] += strength * (LOOP * spot + DOMAIN * inside)


def _outside(band: Float[np.ndarray, "bins offsets"]) -> np.ndarray:
    return np.arange(len(band))[:, None] + np.arange(band.shape[1]) >= len(band)
