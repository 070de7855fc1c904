"""Windows in pieces, and the tracks of some biosamples: the same values, in other company."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from small_store import CONFIG, SmallStore

from megabase.errors import InputError
from megabase.store.reader import Shards


@pytest.fixture(scope="module", params=["view", "copy"])
def split(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = dataclasses.replace(CONFIG, layout=request.param)
    return SmallStore(tmp_path_factory.mktemp("pieces")).shards(config=config)["train"]


def test_pieces_are_the_windows_side_by_side(split: Path) -> None:
    whole = Shards.open(split)
    halves = whole.cut(2)
    assert halves.window_length == 2048 and len(halves) == 2 * len(whole)
    assert halves.split_hash == whole.split_hash and halves.max_shift == whole.max_shift
    for i, shift, turned in ((0, 0, False), (3, -37, False), (1, 100, True)):
        one = whole.read(i, shift=shift, reverse_complement=turned)
        order = (1, 0) if turned else (0, 1)
        parts = [halves.read(2 * i + k, shift=shift, reverse_complement=turned) for k in order]
        assert np.array_equal(np.concatenate([part.sequence for part in parts]), one.sequence)
        for head in ("cage", "dnase", "chip_tf"):
            joined = np.concatenate([part.targets[head] for part in parts]).astype(np.float32)
            expected = one.targets[head].astype(np.float32)
            # The first base of a turned window has no neighbour to take a cut from.
            apart = np.flatnonzero((joined != expected).any(axis=1))
            assert set(apart) <= ({2048} if head == "dnase" and turned else set()), (head, apart)
        assert np.array_equal(parts[0].targets["contact_maps"][0, 0], one.targets["contact_maps"][0, 0], equal_nan=True)
    shorter = Shards.open(split).cut(1, 2048)
    places = shorter.windows["start"] - Shards.open(split).windows["start"]
    assert set(places) == {1024}, "in the middle"
    for pieces, length in ((3, None), (4, 2048), (2, 1000)):
        with pytest.raises(InputError, match=rf"windows of 4,096 bp do not give {pieces} pieces"):
            whole.cut(pieces, length)


def test_a_biosample_has_its_tracks_alone(split: Path) -> None:
    whole = Shards.open(split)
    for table in whole.tracks.values():
        assert "ontology_curie" in table
    term = {bundle: list(table["ontology_curie"]) for bundle, table in whole.tracks.items()}
    chosen = term["CAGE"][0]
    own, rest = whole.of_biosamples(only=[chosen]), whole.of_biosamples(without=[chosen])
    example, kept, others = whole.read(0), own.read(0), rest.read(0)
    for bundle, terms in term.items():
        head = bundle.lower()
        here = np.array([one == chosen for one in terms])
        for read, shards, columns in ((kept, own, here), (others, rest, ~here)):
            if not columns.any():
                assert bundle not in shards.tracks and head not in read.targets
                continue
            assert list(shards.tracks[bundle]["track_id"]) == list(whole.tracks[bundle]["track_id"][columns])
            values, expected = (np.asarray(x.targets[head], np.float32) for x in (read, example))
            assert np.array_equal(values, expected[..., columns], equal_nan=True)
            assert read.masks[head].shape[-1] in (1, columns.sum())
    assert own.cut(2).tracks.keys() == own.tracks.keys()
    with pytest.raises(InputError, match=r"no track of CL:1; choose from"):
        whole.of_biosamples(only=["CL:1"])


def test_targets_of_chip_are_read_finer(split: Path) -> None:
    whole = Shards.open(split)
    coarse, fine = whole.read(1, shift=5), whole.read(1, shift=5, read_at={"chip_tf": 16})
    assert fine.targets["chip_tf"].shape == (256, 1) and fine.masks["chip_tf"].shape[0] == 256
    assert np.allclose(fine.targets["chip_tf"].reshape(32, 8, 1).sum(1), coarse.targets["chip_tf"], rtol=1e-4)
    assert json.loads((split / "zarr.json").read_text())["attributes"]["window"] == 4096
