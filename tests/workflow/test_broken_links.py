"""A broken link between files, store, truth and folds is not silent: a number with a name falls, or is named in an
error. A tiny world goes from its files to windows of the store by the project's own modules; nothing is trained."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.evaluation.leakage import held_out_share
from megabase.evaluation.observed import observed_values
from megabase.evaluation.truth import Truth
from megabase.genome.config import Organism
from megabase.genome.reference import build_reference
from megabase.metrics.moments import moments, pearson
from megabase.portals.manifest import pin_part
from megabase.signal.build import build_block
from megabase.signal.config import SignalConfig
from megabase.simulate.config import GenomeConfig, WorldConfig
from megabase.simulate.entries import entry_of
from megabase.simulate.experiments import read_experiments
from megabase.simulate.world import write_world
from megabase.store.config import ShardsConfig, StoreConfig
from megabase.store.reader import Shards
from megabase.store.shards import write_shards
from megabase.store.writer import write_block, write_frame

SECTIONS = [f"chr{number}" for number in range(1, 9)]
SHARDS = ShardsConfig(window=8192, stride=8192, max_shift=64)
FILES = {
    "CAGE": ("HepG2", "hCAGE", "CTSS", "five_prime"),
    "RNA_SEQ": ("K562", "polyA plus RNA-seq", "bigWig", "coverage"),
}
"""By output type, whose files are read, and how."""


class World:
    """A written world, and what becomes of its files."""

    def __init__(self, root: Path, experiments: Path) -> None:
        self.root = root
        genome = GenomeConfig(experiments=str(experiments), chromosomes=dict.fromkeys(SECTIONS, 40_000))
        write_world(WorldConfig(organisms={"human": genome}, variants=0), root / "world")
        self.files: dict[tuple[str, str], Path] = {}
        for one in read_experiments(experiments, "human"):
            if not one.decoy and (one.bundle, one.biosample) in {(bundle, read[0]) for bundle, read in FILES.items()}:
                path = root / "world/portals/files" / entry_of(one)["path"]
                self.files |= {(one.bundle, strand): path for strand in ("+-" if one.strand == "." else one.strand)}
        build_reference(self.organism(), root / "reference")

    def organism(self) -> Organism:
        """Two tracks, one of each strand, of every output type."""
        references = self.root / "world/portals/files/references/human"
        return Organism(
            index=0,
            assembly="demohuman1",
            fasta=str(references / "genome.fa.gz"),
            annotation=str(references / "genes.gtf.gz"),
            chromosomes=SECTIONS,
            sources=str(self.root / "sources.tsv"),
            bundles=dict.fromkeys(FILES, 2),
            sections=[[name] for name in SECTIONS],
        )

    def shards(self, out: Path, files: dict[tuple[str, str], Path], fold: int = 0) -> dict[str, Shards]:
        """The windows of a fold, by split, of a store made from these files."""
        columns = ["bundle", "track", "strand", "file", "format", "reading"]
        with open(self.root / "sources.tsv", "w", newline="") as table:
            writer = csv.writer(table, delimiter="\t")
            writer.writerow(columns)
            for bundle, (biosample, assay, form, reading) in FILES.items():
                for strand in "+-":
                    writer.writerow([bundle, f"{biosample} {assay}", strand, files[bundle, strand], form, reading])
        records, organism = [], self.organism()
        write_frame(self.root / "reference", out / "store.zarr", out / "frame.json", StoreConfig(codec="zstd-1"))
        for bundle in FILES:
            measured, record = out / f"signal/{bundle}.0000.json", out / f"store/{bundle}.0000.json"
            pin_part(organism, bundle, 0, 64, out / f"{bundle}.tsv")
            config = SignalConfig()
            build_block(out / f"{bundle}.tsv", self.root / "reference", out / "signal", measured, config, organism)
            write_block([measured], out / "signal", out / "store.zarr", record, StoreConfig(codec="zstd-1"))
            records.append(record)
        paths = {split: out / f"shards/human/fold_{fold}/{split}.zarr" for split in ("train", "valid", "test")}
        frame, report = out / "frame.json", out / "leakage.json"
        write_shards("human", organism, fold, out / "store.zarr", records, frame, paths, report, SHARDS)
        return {split: Shards.open(path) for split, path in paths.items()}

    def oracle(self, shards: Shards, bundle: str) -> np.ndarray:
        """Oracle r of each track: of the true rates with what the windows show, base by base."""
        kind, sums = BUNDLES[bundle], []
        truth = Truth(self.root / "world/human/truth" / bundle, list(shards.tracks[bundle]["track_id"]), kind.store_bin)
        for i, place in shards.windows.iterrows():
            example = shards.read(i)
            data, usable = observed_values(kind, example.targets[kind.head], example.masks[kind.head], 1)
            sums.append(moments(data, truth.read(place["chrom"], place["start"], place["end"]), usable))
        return pearson(np.sum(sums, axis=0))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> World:
    return World(tmp_path_factory.mktemp("world"), repo_root / "config/demo/human.experiments.tsv")


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shards]:
    return world.shards(tmp_path_factory.mktemp("whole"), world.files)


def moved(path: Path, out: Path, by: int) -> Path:
    """The CTSS file with every start further to the right."""

    def lines() -> Iterator[str]:
        with gzip.open(path, "rt") as file:
            for line in file:
                chrom, start, end, name, *rest = line.split("\t")
                if int(end) + by <= 40_000:
                    yield "\t".join([chrom, str(int(start) + by), str(int(end) + by), name, *rest])

    with gzip.open(out, "wt") as file:
        file.writelines(lines())
    return out


def test_a_track_shifted_by_64_bp_loses_its_oracle_r(world: World, whole: dict[str, Shards], tmp_path: Path) -> None:
    shifted = moved(world.files["CAGE", "+"], tmp_path / "shifted.ctss.bed.gz", 64)
    broken = world.shards(tmp_path, world.files | {("CAGE", "+"): shifted})
    before, after = world.oracle(whole["train"], "CAGE"), world.oracle(broken["train"], "CAGE")
    assert before.min() > 0.6
    assert after[0] < 0.3
    assert after[1] == before[1], "the other strand was not touched"
    assert world.oracle(broken["train"], "RNA_SEQ").min() > 0.6


def test_swapped_strands_lose_the_oracle_r_of_both(world: World, whole: dict[str, Shards], tmp_path: Path) -> None:
    swapped = {("RNA_SEQ", strand): world.files["RNA_SEQ", other] for strand, other in ("+-", "-+")}
    broken = world.shards(tmp_path, world.files | swapped)
    before, after = world.oracle(whole["train"], "RNA_SEQ"), world.oracle(broken["train"], "RNA_SEQ")
    assert before.min() > 0.6
    assert after.max() < 0.3


def test_two_folds_mixed_up_lower_the_held_out_share(world: World, whole: dict[str, Shards], tmp_path: Path) -> None:
    other = world.shards(tmp_path, world.files, fold=1)
    described = {
        "fold": 1,
        "split_hashes": {"human": other["train"].split_hash},
        "held_out": {"human": {split: other[split].windows.to_numpy().tolist() for split in ("valid", "test")}},
    }
    assert held_out_share(described, other["train"], other["test"], "human", tmp_path) == 1
    with pytest.raises(InputError, match=r"windows are of split .* \(held_out_share 0.00\)"):
        held_out_share(described, whole["train"], whole["test"], "human", tmp_path)
    with pytest.raises(InputError, match=r"held_out_share 0.00"):
        held_out_share(described, other["train"], whole["test"], "human", tmp_path)
