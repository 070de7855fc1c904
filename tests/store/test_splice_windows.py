"""Splicing and genes of a window, against loops over single sites, junctions and exons."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_store import CONFIG, SIZES, TRACKS, SmallStore

from megabase.artifacts import write_json
from megabase.errors import InputError
from megabase.genome.config import Fold
from megabase.model.spec import head_specs
from megabase.store.batches import Batches
from megabase.store.config import ShardsConfig
from megabase.store.reader import Example, Shards
from megabase.store.splicing import Splicing

S, N = 4096, 3
SITES, USAGE, JUNCTIONS = "splice_sites_classification", "splice_sites_usage", "splice_sites_junction"
KINDS = [("+", "donor"), ("+", "acceptor"), ("-", "donor"), ("-", "acceptor")]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallStore:
    small = SmallStore(tmp_path_factory.mktemp("splicing"))
    small.tables = small.write_splicing(N)  # type: ignore[attr-defined]
    return small


@pytest.fixture(scope="module")
def train(small: SmallStore) -> Shards:
    return Shards.open(small.shards()["train"])


def expected(tables: dict, chrom: str, start: int, most: int) -> tuple[np.ndarray, ...]:
    """Classes, usage, positions and junctions of the forward strand; the considered part shrinks base by base."""
    classes, usage = np.zeros((S, 5), bool), np.zeros((S, 2 * N), np.float32)
    here = tables["sites"][tables["sites"]["chrom"] == chrom]
    found: list[list[int]] = [[], [], [], []]
    names = {}
    for row in here.itertuples():
        names[row.site_id] = (row.position - start, row.strand)
        if 0 <= row.position - start < S:
            kind = KINDS.index((row.strand, row.kind))
            classes[row.position - start, kind] = True
            found[kind].append(row.position - start)
    classes[:, 4] = ~classes[:, :4].any(axis=1)
    for row in tables["usage"].itertuples():
        at, strand = names.get(row.site_id, (-1, "+"))
        if 0 <= at < S:
            column = row.track + (N if strand == "-" else 0)
            usage[at, column] = max(usage[at, column], row.value)
    low, high = 0, S
    while any(sum(low <= at < high for at in places) > most for places in found):
        low, high = low + 1, high - 1
    positions = np.full((4, most), -1, np.int32)
    for kind, places in enumerate(found):
        kept = sorted(at for at in places if low <= at < high)
        positions[kind, : len(kept)] = kept
    junctions = np.zeros((most, most, 2 * N), np.float32)
    for row in tables["junctions"][tables["junctions"]["chrom"] == chrom].itertuples():
        minus = row.strand == "-"
        donor, acceptor = (row.end, row.start - 1) if minus else (row.start - 1, row.end)
        d = np.flatnonzero(positions[2 * minus] == donor - start)
        a = np.flatnonzero(positions[2 * minus + 1] == acceptor - start)
        if len(d) and len(a) and 0 <= donor - start < S and 0 <= acceptor - start < S:
            junctions[d[0], a[0], row.track + N * minus] = row.count
    return classes, usage, positions, junctions


def turned(classes, usage, positions, junctions) -> tuple[np.ndarray, ...]:
    """The same as the other strand sees it, by its definition."""
    mirrored, joined = np.full_like(positions, -1), np.zeros_like(junctions)
    for kind in range(4):
        own = positions[kind][positions[kind] >= 0]
        mirrored[(kind + 2) % 4, : len(own)] = sorted(S - 1 - at for at in own)
    counts = (positions >= 0).sum(axis=1)
    for strand in (0, 1):
        donors, acceptors = counts[2 * strand], counts[2 * strand + 1]
        own = junctions[:donors, :acceptors, strand * N : strand * N + N]
        joined[:donors, :acceptors, (1 - strand) * N : (1 - strand) * N + N] = own[::-1, ::-1]
    usage = np.concatenate([usage[::-1, N:], usage[::-1, :N]], axis=1)
    return classes[::-1][:, [2, 3, 0, 1, 4]], usage, mirrored, joined


def spliced(example: Example) -> tuple[np.ndarray, ...]:
    assert example.splice_site_positions is not None
    named = example.targets
    return named[SITES], named[USAGE], example.splice_site_positions, named[JUNCTIONS]


@pytest.mark.parametrize("most", [7, 64])
def test_any_shift_on_either_strand_equals_brute_force(small: SmallStore, train: Shards, most: int) -> None:
    joined = narrowed = 0
    for i, shift in ((0, -100), (1, 0), (4, 37), (7, -63), (len(train) - 1, 100)):
        chrom, start = train.windows["chrom"][i], int(train.windows["start"][i]) + shift
        forward = expected(small.tables, chrom, start, most)  # type: ignore[attr-defined]
        for strand, values in ((False, forward), (True, turned(*forward))):
            example = train.read(i, shift=shift, reverse_complement=strand, junction_sites=most)
            for found, wanted in zip(spliced(example), values, strict=True):
                assert found.dtype == wanted.dtype and np.array_equal(found, wanted)
            known = train.read(i, shift=shift, reverse_complement=strand).masks["dnase"]
            if not strand:
                assert np.array_equal(example.masks[SITES], known) and np.array_equal(example.masks[USAGE], known)
            assert example.masks[JUNCTIONS].shape == (1, 1, 1) and example.masks[JUNCTIONS].all()
        joined += np.count_nonzero(forward[3])
        narrowed += (forward[2] >= 0).sum() < forward[0][:, :4].sum()
    assert joined > 5 and bool(narrowed) == (most == 7)


def test_the_other_strand_of_the_other_strand_is_the_window(train: Shards) -> None:
    for most in (7, 64):
        there = spliced(train.read(3, shift=5, reverse_complement=True, junction_sites=most))
        back = spliced(train.read(3, shift=5, junction_sites=most))
        assert all(np.array_equal(*pair) for pair in zip(turned(*there), back, strict=True))
    masks = [train.read(3, shift=5, reverse_complement=strand).masks[SITES] for strand in (True, False)]
    assert np.array_equal(masks[0][::-1], masks[1]) and not masks[0].all()


def test_the_widest_part_that_fits_is_considered(tmp_path: Path) -> None:
    """Donors 200, 100, 100 and 151 bp from the middle of 1,000 bp: of two at one distance neither or both are taken."""
    sites = pd.DataFrame({"site_id": np.arange(4), "chrom": "c", "position": [300, 400, 599, 650]})
    sites.assign(strand="+", kind="donor").to_parquet(tmp_path / "sites.parquet")
    pd.DataFrame({"site_id": [0], "track": [0], "value": [0.5]}).to_parquet(tmp_path / "usage.parquet")
    columns = {"chrom": "c", "start": [301], "end": [399], "strand": "+", "track": 0, "count": 1.0}
    pd.DataFrame(columns).to_parquet(tmp_path / "junctions.parquet")
    splicing = Splicing(tmp_path, 1)
    assert splicing.window("c", 0, 1000, 4).positions[0].tolist() == [300, 400, 599, 650]
    assert splicing.window("c", 0, 1000, 3).positions[0].tolist() == [400, 599, 650]
    assert splicing.window("c", 0, 1000, 2).positions[0].tolist() == [400, 599]
    assert splicing.window("c", 0, 1000, 1).positions[0].tolist() == [-1]
    assert splicing.window("c", 1, 1000, 1).positions[0].tolist() == [598]
    assert splicing.window("c", 0, 1000, 1, turned=True).positions[2].tolist() == [-1]
    assert splicing.window("c", 1, 1000, 1, turned=True).positions[2].tolist() == [401]
    elsewhere = splicing.window("d", 0, 1000, 3)
    assert elsewhere.classes[:, 4].all() and (elsewhere.positions == -1).all() and not elsewhere.junctions.any()


@pytest.mark.parametrize("slots", [1, 2, 16])
def test_exons_of_genes(small: SmallStore, train: Shards, slots: int) -> None:
    exons = pd.read_parquet(small.store / "annotation" / "exons.parquet")
    left_out = 0
    for i, shift in ((0, -100), (5, 17), (len(train) - 1, 100)):
        chrom, start = train.windows["chrom"][i], int(train.windows["start"][i]) + shift
        masks = np.zeros((S, 2, slots), bool)
        for strand in (0, 1):
            bases: dict[str, np.ndarray] = {}
            rows = exons[(exons["chrom"] == chrom) & (exons["strand"] == "+-"[strand])].sort_values("start")
            for row in rows.itertuples():
                own = bases.setdefault(row.gene_id, np.zeros(S, bool))
                own[max(row.start - start, 0) : max(row.end - start, 0)] = True
            inside = sorted((own for own in bases.values() if own.any()), key=lambda own: -int(own.sum()))
            left_out += max(0, len(inside) - slots)
            for slot, own in enumerate(inside[:slots]):
                masks[:, strand, slot] = own
        assert masks.any()
        assert np.array_equal(train.read(i, shift=shift, gene_slots=slots).masks["genes"], masks)
        other = train.read(i, shift=shift, gene_slots=slots, reverse_complement=True).masks["genes"]
        assert np.array_equal(other[::-1, ::-1], masks)
    assert bool(left_out) == (slots < 16)


def test_only_what_is_asked_for(train: Shards) -> None:
    example = train.read(0, junction_sites=0)
    assert example.splice_site_positions is None and JUNCTIONS not in example.targets and "genes" not in example.masks
    assert example.targets[USAGE].shape == (S, 2 * N)


def test_tables_of_tracks_have_splicing(train: Shards) -> None:
    assert set(train.tracks) - set(TRACKS) == {"SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS"}
    assert train.tracks["SPLICE_SITE_USAGE"]["strand"].tolist() == ["+"] * N + ["-"] * N
    assert train.tracks["SPLICE_JUNCTIONS"]["index"].tolist() == [0, 1, 2]
    assert not train.masked_by_track("SPLICE_SITE_USAGE")


def test_a_copy_stands_alone(small: SmallStore, train: Shards) -> None:
    config = ShardsConfig(**{**CONFIG.__dict__, "layout": "copy"})
    path = small.shards("copied", config)["train"]
    moved = small.folder / "elsewhere" / "train.zarr"
    moved.parent.mkdir()
    path.rename(moved)
    for i, shift, strand in ((2, 0, False), (6, -99, True)):
        ours, theirs = (
            own.read(i, shift=shift, reverse_complement=strand, junction_sites=9, gene_slots=4)
            for own in (Shards.open(moved), train)
        )
        assert all(np.array_equal(*pair) for pair in zip(spliced(ours), spliced(theirs), strict=True))
        assert np.array_equal(ours.masks["genes"], theirs.masks["genes"])


def test_organisms_of_different_conditions_share_the_heads(tmp_path: Path, small: SmallStore, train: Shards) -> None:
    """Targets stand in the columns that the heads call real, and an organism without splicing is masked."""
    fewer, without = SmallStore(tmp_path / "fewer", seed=1), SmallStore(tmp_path / "without", seed=2)
    fewer.write_splicing(2, seed=1)
    opened = {"many": train}
    opened |= {name: Shards.open(own.shards()["train"]) for name, own in (("few", fewer), ("none", without))}
    indices = {name: row for row, name in enumerate(opened)}
    for name, row in indices.items():
        opened[name].organism_index = row
    heads = {spec.head: spec for spec in head_specs({name: own.tracks for name, own in opened.items()}, indices)}
    widths = {head: spec.tracks for head, spec in heads.items()}
    batches = Batches(opened, widths, batch=6, seed=3, max_shift=9, reverse_complement=0.5, junction_sites=8)
    shards = [own for own in opened.values()]
    batch = batches.stacked(shards, [batches.read(own, 2, shift=4) for own in shards])
    assert batch["targets"][USAGE].shape == (3, S, 6) and batch["targets"][JUNCTIONS].shape == (3, 8, 8, 6)
    assert batch["targets"][SITES].dtype == bool and batch["masks"][JUNCTIONS].shape == (3, 1, 1, 1)
    assert batch["splice_site_positions"].shape == (3, 4, 8) and batch["splice_site_positions"].dtype == np.int32
    for row, own in enumerate(shards[:2]):
        example = own.read(2, shift=4, junction_sites=8)
        columns = heads[USAGE].columns(row)
        assert np.array_equal(batch["targets"][USAGE][row][:, columns], example.targets[USAGE])
        assert not np.delete(batch["targets"][USAGE][row], columns, axis=1).any()
        valid = heads[JUNCTIONS].track_valid[row]
        joined = batch["targets"][JUNCTIONS][row][..., np.tile(valid, 2)]
        assert np.array_equal(joined, example.targets[JUNCTIONS]) and joined.any()
        assert np.array_equal(batch["splice_site_positions"][row], example.splice_site_positions)
        assert batch["masks"][USAGE][row].any() and batch["masks"][JUNCTIONS][row].all()
    assert (batch["splice_site_positions"][2] == -1).all()
    assert not any(batch["masks"][head][2].any() for head in (SITES, USAGE, JUNCTIONS))
    # A model without these heads reads none of it.
    plain = Batches(opened, {"dnase": 1}, batch=2, seed=0)(0)
    assert "splice_site_positions" not in plain and list(plain["masks"]) == ["dnase"]


def test_genes_come_with_rna(train: Shards) -> None:
    batch = Batches({"many": train}, {"rna_seq": 2, "dnase": 1}, batch=2, seed=0, gene_slots=5)(0)
    assert batch["masks"]["genes"].shape == (2, S, 2, 5) and batch["masks"]["genes"].any()
    assert "genes" not in Batches({"many": train}, {"dnase": 1}, batch=2, seed=0, gene_slots=5)(0)["masks"]


def test_all_folds_are_trained_on(small: SmallStore) -> None:
    paths = small.shards("all_folds", number="all")
    train, test = Shards.open(paths["train"]), Shards.open(paths["test"])
    assert not train.held_out and train.splicing
    assert set(train.windows["chrom"]) == set(SIZES) and set(test.windows["chrom"]) == {"chr2"}
    report = small.leakage("all_folds")
    assert report["held_out"] is False and report["test"]["overlap_bp_with_train"] == len(test) * S
    assert Shards.open(small.shards("fold_0")["test"]).held_out
    overlapping = Fold(train=["chr1"], valid=["chr2"], test=["chr2:5-9000"])
    with pytest.raises(InputError, match="overlaps valid region"):
        small.shards("wrong", fold=overlapping)


def test_changed_tables_are_another_store(tmp_path: Path) -> None:
    small = SmallStore(tmp_path)
    bare = Shards.open(small.shards("bare")["train"])
    assert bare.splicing is None and "SPLICE_SITES" not in bare.tracks
    small.write_splicing(2)
    path = small.shards()["train"]
    before = Shards.open(path)
    assert before.store_digest != bare.store_digest and before.split_hash == bare.split_hash
    small.write_splicing(2, seed=1)
    with pytest.raises(InputError, match="has changed since"):
        Shards.open(path)
    assert Shards.open(small.shards()["train"]).store_digest != before.store_digest
    assert small.splicing is not None
    record = json.loads(small.splicing.read_text())
    write_json(small.splicing, record | {"content": "0"})
    with pytest.raises(InputError, match="the store is not what its records say"):
        small.shards()


def test_another_annotation_is_another_frame(tmp_path: Path) -> None:
    contents = []
    for name, kept in (("a", 1.0), ("b", 0.5)):
        small = SmallStore(tmp_path / name)
        exons = small.folder / "reference" / "exons.parquet"
        table = pd.read_parquet(exons)
        table.iloc[: int(len(table) * kept)].to_parquet(exons)
        small.write_frame()
        contents.append(json.loads(small.frame.read_text())["content"])
        assert (small.store / "annotation" / "exons.parquet").read_bytes() == exons.read_bytes()
    assert contents[0] != contents[1]
