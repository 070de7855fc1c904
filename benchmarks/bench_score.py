"""Scoring of variants: shared windows against one variant at a time, the cost around the forward passes, large files.

Prints one JSON line per measurement and a table. The model has the demo's network with random weights and tracks of
every output type; the reference is drawn at random. What `against` is stands in each name: the same variants in the
same windows one at a time, the bare forward passes of the same batches, a minute, the memory that a tenth of the file
takes. Alternatives take turns, and the median counts.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyfaidx
from flax import nnx

from megabase.genome.reference import Reference
from megabase.model.config import NetworkConfig
from megabase.model.network import AlphaGenome
from megabase.model.spec import ModelConfig, head_specs
from megabase.model.weights import export
from megabase.scoring.annotation import Annotation
from megabase.scoring.comparison import Comparison
from megabase.scoring.config import ScoringConfig
from megabase.scoring.forward import Forward
from megabase.scoring.passes import Job, compared
from megabase.scoring.reading import BOTH
from megabase.scoring.scorers import chosen_scorers
from megabase.scoring.sequences import alleles, window_on_grid
from megabase.scoring.surroundings import Surroundings, batched
from megabase.scoring.variants import Extras, score_variants
from megabase.scoring.vcf import Variant, alleles_of

WINDOW, SIZE, GRID, PER_WINDOW, WINDOWS = 16_384, 400_000, 4096, 16, 2
TRACKS = {
    "ATAC": ("abc", "..."),
    "CAGE": ("aabbcc", "+-+-+-"),
    "DNASE": ("abc", "..."),
    "RNA_SEQ": ("aabbcc", "+-+-+-"),
    "PROCAP": ("aa", "+-"),
    "CHIP_HISTONE": ("abcd", "...."),
    "CHIP_TF": ("abcd", "...."),
    "CONTACT_MAPS": ("ab", ".."),
    "SPLICE_SITES": ("dada", "++--"),
    "SPLICE_SITE_USAGE": ("abcdabcd", "++++----"),
    "SPLICE_JUNCTIONS": ("abcd", "...."),
}
REPEATS, LINES = 3, 1_000_000


def write_world(folder: Path) -> None:
    """A model, a reference with a gene every 20,000 bp, and a VCF with 16 variants in each of some windows."""
    letters = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), SIZE)
    reference = folder / "reference"
    reference.mkdir()
    lines = "\n".join(letters[i : i + 60].tobytes().decode() for i in range(0, SIZE, 60))
    (reference / "genome.fa").write_text(f">chr1\n{lines}\n")
    pyfaidx.Faidx(str(reference / "genome.fa"))
    (reference / "reference.json").write_text(json.dumps({"assembly": "drawn", "sizes": {"chr1": SIZE}}))
    genes, exons = [], []
    for i, start in enumerate(range(5_000, SIZE - 15_000, 20_000)):
        own = {"chrom": "chr1", "strand": "+-"[i % 2], "gene_id": f"G{i}"}
        genes.append(own | {"start": start, "end": start + 9_000, "gene_name": f"N{i}", "gene_type": "protein_coding"})
        starts = (start, start + 4_000, start + 8_800)
        exons += [own | {"start": first, "end": first + 200, "transcript_id": f"T{i}"} for first in starts]
    pd.DataFrame(genes).to_parquet(reference / "genes.parquet")
    pd.DataFrame(exons).to_parquet(reference / "exons.parquet")
    described = {
        bundle: [{"track": name, "strand": strand} for name, strand in zip(names, strands, strict=True)]
        for bundle, (names, strands) in TRACKS.items()
    }
    specs = head_specs({"human": {b: pd.DataFrame(rows) for b, rows in described.items()}}, {"human": 0})
    network = dataclasses.replace(NetworkConfig.demo(), dtype="float32")
    model = AlphaGenome(ModelConfig(network, specs, 1), rngs=nnx.Rngs(0))
    about = {"window_length": WINDOW, "organisms": {"human": 0}, "tracks": {"human": described}}
    export(folder / "model", model, about)
    rng = np.random.default_rng(1)
    with open(folder / "variants.vcf", "w") as file:
        for middle in range(GRID * 10, GRID * (10 + 2 * WINDOWS), 2 * GRID):
            for place in np.sort(middle - GRID // 2 + rng.choice(GRID, PER_WINDOW, replace=False)):
                file.write(f"{row(letters, int(place))}\n")
    with open(folder / "large.vcf", "w") as file:
        for place in np.sort(rng.integers(0, SIZE, LINES)).tolist():
            file.write(f"{row(letters, place)}\n")


def row(letters: np.ndarray, place: int) -> str:
    """A VCF row that changes one base."""
    ref = chr(letters[place])
    return f"chr1\t{place + 1}\t.\t{ref}\t{'ACGT'['CGTA'.index(ref)]}\t.\tPASS\t."


def taking_turns(**calls: Callable[[], object]) -> dict[str, float]:
    """Median processor seconds of each call, all threads together, after one to warm up."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(REPEATS + 1):
        for name, call in calls.items():
            began = time.process_time()
            call()
            if turn:
                spent[name].append(time.process_time() - began)
    return {name: statistics.median(own) for name, own in spent.items()}


class Bare:
    """The programs on arrays that are ready: no VCF, no annotation, no table."""

    def __init__(self, folder: Path) -> None:
        from megabase.model.weights import load

        network, description = load(folder / "model")
        tables = {bundle: pd.DataFrame(rows) for bundle, rows in description["tracks"]["human"].items()}
        self.reference = Reference.open(folder / "reference")
        scorers = chosen_scorers([], list(tables))
        self.around = Surroundings(Annotation.open(folder / "reference"), WINDOW, scorers)
        self.compare = Comparison(Forward(network), 0, tables, scorers, BOTH)
        found = alleles_of(folder / "variants.vcf", self.reference, longest=WINDOW // 4)
        placed = [(v, window_on_grid(v, WINDOW, GRID)) for v in found if isinstance(v, Variant)]
        self.jobs = [Job(v, region, alleles(self.reference, v, region)) for v, region in placed]
        self.ready = []
        for batch in batched(self.jobs, PER_WINDOW, lambda job: job.region):
            settings = [self.around.setting(job.variant, job.region) for job in batch]
            self.ready.append((np.stack([job.codes for job in batch]), self.around.places(settings, len(batch))))

    def passes(self) -> None:
        """What `score_variants` asks of the model for the VCF, and nothing else."""
        for codes, places in self.ready:
            read = self.compare.reference(codes[0, 0])
            jax.block_until_ready(self.compare.against(read, codes[:, 1], places))

    def shared(self) -> list[object]:
        """All variants, those of a window with one REF."""
        batches = batched(self.jobs, PER_WINDOW, lambda job: job.region)
        return list(self._scored(compared(batches, self.compare, self.around, PER_WINDOW, shared=True)))

    def alone(self) -> list[object]:
        """All variants, each with its own REF."""
        batches = ([job] for job in self.jobs)
        return list(self._scored(compared(batches, self.compare, self.around, 1, shared=False)))

    def _scored(self, made: Iterator) -> Iterator[object]:
        for settings, seen in made:
            yield from seen.of(len(settings))


def measured(folder: Path) -> Iterator[dict[str, object]]:
    """The measurements, one after the other."""
    bare = Bare(folder)
    for one, other in zip(bare.shared(), bare.alone(), strict=True):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)
    spent = taking_turns(shared=bare.shared, alone=bare.alone)
    rates = {name: len(bare.jobs) / seconds for name, seconds in spent.items()}
    yield line("score.shared_windows_against_one_at_a_time", rates["shared"], "variants per CPU s", rates["alone"])

    config = ScoringConfig(batch=PER_WINDOW)
    places = folder / "model", folder / "reference", folder / "variants.vcf", folder / "scores.parquet"
    score = partial(score_variants, *places, config, "human", Extras(window_grid=GRID))
    # Loading and compiling happen once whatever the length: the difference between a file and one four times as long.
    text = (folder / "variants.vcf").read_text()
    (folder / "long.vcf").write_text(text * 4)
    longer = partial(
        score_variants, places[0], places[1], folder / "long.vcf", places[3], config, "human", Extras(window_grid=GRID)
    )
    spent = taking_turns(score=score, longer=longer, passes=bare.passes)
    own = (spent["longer"] - spent["score"]) / 3
    yield line("score.vcf_to_parquet_against_bare_passes", own, "CPU s", spent["passes"])

    began = time.process_time()
    count = sum(1 for _ in alleles_of(folder / "large.vcf", bare.reference, longest=WINDOW // 4))
    assert count == LINES
    yield line("score.plan_a_million_lines_against_a_minute", time.process_time() - began, "CPU s", 60.0)
    peaks = []
    for lines in (LINES // 100, LINES // 10):
        with open(folder / "large.vcf") as file, open(folder / "cut.vcf", "w") as cut:
            cut.writelines(text for text, _ in zip(file, range(lines), strict=False))
        tracemalloc.start()
        assert sum(1 for _ in alleles_of(folder / "cut.vcf", bare.reference, longest=WINDOW // 4)) == lines
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
    yield line("score.memory_to_plan_against_a_tenth_of_the_lines", peaks[1], "MB", peaks[0])
    assert pq.read_metadata(folder / "scores.parquet").num_rows


def line(name: str, value: float, unit: str, against: float) -> dict[str, object]:
    """One measurement."""
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": value / against}


def main() -> None:
    logging.disable(logging.WARNING)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_world(Path(folder))
        for made in measured(Path(folder)):
            rows.append(made)
            print(json.dumps(made), flush=True)
    print(f"\n{'':<52}{'value':>10}  {'unit':<11}{'against':>10}{'ratio':>8}")
    for made in rows:
        numbers = f"{made['value']:>10.3f}  {made['unit']:<11}{made['against']:>10.3f}{made['ratio']:>8.2f}"
        print(f"{made['name']:<52}{numbers}")


if __name__ == "__main__":
    main()
