"""What is read is what was written: at any shift, on either strand, from a view or a copy, whole or masked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import zarr
from small_store import CONFIG, FOLD, SIZES, SmallStore

from megabase.errors import InputError
from megabase.genome.config import Fold
from megabase.store.batches import Batches, prefetched
from megabase.store.config import ShardsConfig
from megabase.store.layout import CODECS
from megabase.store.reader import Shards

WIDTHS = {"dnase": 1, "cage": 3, "chip_tf": 1, "contact_maps": 1, "atac": 2}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallStore:
    return SmallStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def train(small: SmallStore) -> Shards:
    return Shards.open(small.shards()["train"])


@pytest.mark.parametrize("shift", [0, 1, -17, 100])
def test_any_shift_equals_brute_force(small: SmallStore, train: Shards, shift: int) -> None:
    for i in (0, 3, len(train) - 1):
        chrom, start = train.windows["chrom"][i], int(train.windows["start"][i]) + shift
        example = train.read(i, shift=shift)
        inside = np.arange(start, start + 4096)
        known = (inside >= 0) & (inside < SIZES[chrom])
        at = np.clip(inside, 0, SIZES[chrom] - 1)
        for head, track_id in (("dnase", "open"), ("cage", "caps.plus")):
            bundle = head.upper()
            expected = np.where(known, small.truth[bundle, track_id, chrom][at], 0)
            assert np.array_equal(example.targets[head][:, 0].astype(float), expected)
        means = np.where(known, small.truth["CHIP_TF", "factor", chrom][at // 16], 0)
        assert np.allclose(example.targets["chip_tf"][:, 0], means.reshape(-1, 128).sum(axis=1), rtol=1e-5)
        letters = np.array(list(small.letters[chrom]))[at]
        assert np.array_equal(example.sequence, np.where(known, np.array(["ACGTN".index(x) for x in letters]), 4))


@pytest.mark.parametrize("shift", [0, 37])
def test_contact_maps_are_averaged_by_area(small: SmallStore, train: Shards, shift: int) -> None:
    i = 4
    chrom, start = train.windows["chrom"][i], int(train.windows["start"][i]) + shift
    band = small.truth["CONTACT_MAPS", "loops", chrom]
    full = np.full((len(band), len(band)), np.nan)
    for row in range(len(band)):
        for offset in range(8):
            if row + offset < len(band):
                full[row, row + offset] = full[row + offset, row] = band[row, offset]
    bases = (start + np.arange(4096)) // 1000
    dense = full[np.ix_(bases, bases)]
    expected = dense.reshape(2, 2048, 2, 2048).mean(axis=(1, 3))
    assert np.allclose(train.read(i, shift=shift).targets["contact_maps"][..., 0], expected, equal_nan=True, rtol=1e-4)


def test_masks_say_where_data_are(train: Shards) -> None:
    seen = {}
    for i in range(len(train)):
        example = train.read(i)
        for head, mask in example.masks.items():
            assert seen.setdefault(head, mask.shape) == mask.shape
        inside = int(train.windows["start"][i]) + np.arange(4096)
        usable = ~(((inside >= 5000) & (inside < 5200)) | ((inside >= 7000) & (inside < 7300)))
        assert np.array_equal(example.masks["dnase"][:, 0], usable)
        assert np.array_equal(example.masks["cage"][:, 1], usable & (inside >= 1000) & (inside < 9000))
        assert np.array_equal(example.masks["chip_tf"][:, 0], usable.reshape(-1, 128).mean(axis=1) >= 0.5)


def test_the_other_strand_is_the_window_turned(train: Shards) -> None:
    forward, turned = train.read(2), train.read(2, reverse_complement=True)
    complement = np.array([3, 2, 1, 0, 4])
    assert np.array_equal(turned.sequence, complement[forward.sequence[::-1]])
    assert np.array_equal(turned.targets["cage"], forward.targets["cage"][::-1, ::-1])
    assert np.array_equal(turned.masks["cage"], forward.masks["cage"][::-1, ::-1])
    assert np.array_equal(turned.targets["dnase"][1:], forward.targets["dnase"][::-1][:-1])
    assert not turned.targets["dnase"][0].any() and not turned.masks["dnase"][0].any()
    maps = (turned.targets["contact_maps"], forward.targets["contact_maps"][::-1, ::-1])
    assert np.array_equal(*maps, equal_nan=True)


def test_a_copy_reads_like_the_store_it_left(small: SmallStore, train: Shards) -> None:
    path = small.shards("copied", ShardsConfig(**{**CONFIG.__dict__, "layout": "copy"}))["train"]
    copied = Shards.open(path)
    assert json.loads((path / "zarr.json").read_text())["attributes"]["store"] is None
    for shift, turned in ((0, False), (-100, False), (63, True)):
        ours, theirs = (own.read(5, shift=shift, reverse_complement=turned) for own in (copied, train))
        assert np.array_equal(ours.sequence, theirs.sequence)
        for head in theirs.targets:
            assert np.array_equal(ours.targets[head], theirs.targets[head], equal_nan=head == "contact_maps")
            assert np.array_equal(ours.masks[head], theirs.masks[head])


def test_batches_depend_on_seed_and_step_alone(train: Shards) -> None:
    def batches(seed: int) -> Batches:
        return Batches({"made": train}, WIDTHS, batch=2, seed=seed, max_shift=50, reverse_complement=0.5)

    ordered = [batches(1)(step) for step in range(4)]
    ahead = dict(prefetched(batches(1), 0, 4, 3))
    again = batches(1)(3)
    for head, target in ordered[3]["targets"].items():
        assert np.array_equal(target, ahead[3]["targets"][head], equal_nan=head == "contact_maps")
        assert np.array_equal(target, again["targets"][head], equal_nan=head == "contact_maps")
    assert not np.array_equal(batches(2)(0)["sequence"], ordered[0]["sequence"])
    assert ordered[0]["targets"]["cage"].shape == (2, 4096, 3) and not ordered[0]["masks"]["cage"][..., 2].any()
    assert not ordered[0]["masks"]["atac"].any() and ordered[0]["targets"]["atac"].shape == (2, 4096, 2)


@pytest.mark.parametrize("hosts", [1, 2, 3, 6])
def test_hosts_that_read_their_rows_have_the_batch_together(train: Shards, hosts: int) -> None:
    batches = Batches({"made": train}, WIDTHS, batch=6, seed=1, max_shift=50, reverse_complement=0.5)
    whole = batches(5)
    own = [batches(5, rows=range(first, 6, hosts)) for first in range(hosts)]
    for name in ("sequence", "organism_index"):
        assert np.array_equal(_woven([part[name] for part in own]), whole[name])
    for group in ("targets", "masks"):
        for head, expected in whole[group].items():
            found = _woven([part[group][head] for part in own])
            assert np.array_equal(found, _woven([expected]), equal_nan=found.dtype.kind == "f"), head


def _woven(parts: list[np.ndarray]) -> np.ndarray:
    """Rows dealt out in turn, in order again; bfloat16 as float32, which knows when it is no number."""
    whole = np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])
    return whole if whole.dtype.kind in "biu" else whole.astype(np.float32)


def test_errors_of_the_reading_thread_come_out(train: Shards) -> None:
    def broken(step: int):
        raise InputError("broken", where=step, remedy="none")

    with pytest.raises(InputError, match="broken"):
        list(prefetched(broken, 0, 3, 2))


def test_held_out_windows_keep_away_from_training(small: SmallStore) -> None:
    fold = Fold(train=["chr1:0-12288"], valid=["chr1:12288-20480"], test=["chr1:20480-30000"])
    paths = small.shards("tight", fold=fold)
    report = small.leakage("tight")
    assert report["valid"] == {"kept": 1, "dropped_unknown": 0, "dropped_overlap": 1, "overlap_bp_with_train": 0}
    spans = {split: Shards.open(path).windows for split, path in paths.items()}
    reach = spans["train"]["end"].max() + CONFIG.max_shift
    assert (spans["valid"]["start"] >= reach).all()
    with pytest.raises(InputError, match=r"organisms\.made\.folds\.0: test region .* overlaps train region"):
        small.shards("wrong", fold=Fold(train=["chr1"], valid=["chr2"], test=["chr1:5-500"]))
    with pytest.raises(InputError, match="no window of 4096 bp in the valid split"):
        small.shards("none", fold=Fold(train=["chr1"], valid=[], test=["chr2"]))


def test_hashes_name_split_and_values(tmp_path: Path, small: SmallStore, train: Shards) -> None:
    other = Shards.open(SmallStore(tmp_path, seed=1).shards()["train"])
    assert other.split_hash == train.split_hash and other.store_digest != train.store_digest
    moved = small.shards("moved", fold=Fold(**{**FOLD.__dict__, "train": ["chr1:0-20000"]}))
    assert Shards.open(moved["train"]).split_hash != train.split_hash


def test_shards_need_their_store_and_stay_within_their_shift(tmp_path: Path, train: Shards) -> None:
    with pytest.raises(InputError, match="stay within 100"):
        train.read(0, shift=101)
    with pytest.raises(InputError, match="no shards here"):
        Shards.open(tmp_path)


def test_the_page_on_reading_a_store_works_as_printed(small: SmallStore, repo_root: Path, monkeypatch) -> None:
    page = (repo_root / "docs/store.md").read_text()
    snippet = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert snippet is not None and len(snippet[1].strip().splitlines()) <= 10
    assert snippet[1].count("data/demo/store/human.zarr") == 1
    code = snippet[1].replace("data/demo/store/human.zarr", str(small.store)).replace("100_000:131_072", "1_000:2_000")
    values: dict = {}
    exec(code, values)
    assert np.array_equal(values["signal"][:, 0], small.truth["DNASE", "open", "chr1"][1000:2000])


def test_blocks_are_compressed_by_what_was_tried(small: SmallStore) -> None:
    record = json.loads(small.records[0].read_text())
    assert record["codec"] in record["trial"] and set(record["trial"]) == set(CODECS)
    attributes = dict(zarr.open_group(str(small.store), mode="r")["signal/DNASE/0000"].attrs)
    assert (attributes["dtype"], attributes["bin"], attributes["tracks"]) == ("bfloat16", 1, ["open"])
    assert (attributes["codec"], attributes["trial"]) == (record["codec"], record["trial"])
