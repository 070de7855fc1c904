"""`megabase predict`: every base of the region is in the bigWig, once, at its place, whatever the window."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import ClassVar, NamedTuple

import cooler
import numpy as np
import pandas as pd
import pyBigWig
import pytest

from megabase.commands.contacts import chosen_maps, predict_contacts
from megabase.commands.predict import chosen_organism, chosen_tracks, predict_region
from megabase.errors import InputError

SIZES = {"chr1": 50_001, "chr2": 9_000}


class Region(NamedTuple):
    chrom: str
    start: int
    end: int


class Genome:
    """A genome whose codes give each base's own position away, so that a prediction can be checked."""

    sizes = SIZES

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        positions = np.arange(start, end)
        return np.where((positions >= 0) & (positions < SIZES[chrom]), positions % 4, 4).astype(np.uint8)


class Fake:
    """Predicts from the sequence alone: track 0 the code, track 1 ten times it; sums of them at 128 bp."""

    window_length = 4096
    tracks: ClassVar = {
        "demo": {
            "DNASE": pd.DataFrame({"track_id": ["a", "b"], "biosample": ["K562", "HepG2"]}),
            "CHIP_TF": pd.DataFrame({"track_id": ["c"], "biosample": ["K562"]}),
            "CONTACT_MAPS": pd.DataFrame({"track_id": ["m"], "biosample": ["K562"]}),
        }
    }

    def __init__(self) -> None:
        self.lengths: set[int] = set()

    def predict(self, codes: np.ndarray, organism: str) -> dict[str, dict[int, np.ndarray]]:
        self.lengths.add(codes.shape[1])
        base = np.stack([codes, codes * 10.0], axis=-1).astype(np.float32)
        wide = base.reshape(1, -1, 128, 2).sum(2)
        return {"dnase": {1: base, 128: wide}, "chip_tf": {128: wide[..., :1]}}


@pytest.mark.parametrize("window", [2048, 4096, 16_384])
@pytest.mark.parametrize("region", [Region("chr1", 0, 50_001), Region("chr1", 7, 8), Region("chr2", 5_000, 9_000)])
def test_values_are_those_of_the_sequence(tmp_path: Path, region: Region, window: int) -> None:
    fake = Fake()
    tracks = chosen_tracks(fake.tracks["demo"], "")
    paths = predict_region(fake, Genome(), region, "demo", tracks, tmp_path, window=window)
    assert [path.name for path in paths] == ["dnase.a.bw", "dnase.b.bw", "chip_tf.c.bw"]
    assert fake.lengths == {window}
    first = region.start - region.start % 128
    with pyBigWig.open(str(tmp_path / "dnase.b.bw")) as file:
        assert file.chroms() == SIZES
        values = file.values(region.chrom, 0, SIZES[region.chrom], numpy=True)
    assert np.array_equal(values[first : region.end], np.arange(first, region.end) % 4 * 10.0)
    assert np.isnan(values[:first]).all()
    assert np.isnan(values[region.end :]).all()

    with pyBigWig.open(str(tmp_path / "chip_tf.c.bw")) as file:
        entries = file.intervals(region.chrom)
    assert entries[0][0] == first
    assert all(after[0] == before[1] for before, after in itertools.pairwise(entries))
    assert region.end <= entries[-1][1] <= SIZES[region.chrom]
    for start, _, value in entries:
        assert value == Genome().codes(region.chrom, start, start + 128).sum()


def test_resolution_and_words_choose(tmp_path: Path) -> None:
    fake = Fake()
    tracks = chosen_tracks(fake.tracks["demo"], "hepg2 dnase")
    assert tracks == {"dnase": [(1, "b")]}
    (path,) = predict_region(
        fake, Genome(), Region("chr1", 0, 1024), "demo", tracks, tmp_path, window=2048, resolution=128
    )
    with pyBigWig.open(str(path)) as file:
        assert len(file.intervals("chr1")) == 8


def test_contact_maps_are_no_tracks() -> None:
    assert chosen_tracks(Fake.tracks["demo"], "k562") == {"dnase": [(0, "a")], "chip_tf": [(0, "c")]}


@pytest.mark.parametrize(
    ("region", "window", "resolution", "said"),
    [
        (Region("chr9", 0, 10), 2048, None, "no chromosome chr9"),
        (Region("chr2", 0, 9_001), 2048, None, "not within 0-9000"),
        (Region("chr2", 5, 5), 2048, None, "not within"),
        (Region("chr2", 0, 10), 3000, None, "no multiple of 2048"),
        (Region("chr2", 0, 10), 2048, 32, "has no values at 32 bp"),
    ],
)
def test_what_cannot_be_predicted_leaves_nothing(
    tmp_path: Path, region: Region, window: int, resolution: int | None, said: str
) -> None:
    tracks = chosen_tracks(Fake.tracks["demo"], "")
    with pytest.raises(InputError, match=said):
        predict_region(Fake(), Genome(), region, "demo", tracks, tmp_path, window=window, resolution=resolution)
    assert not list(tmp_path.iterdir())


def test_organism_and_words_that_do_not_exist() -> None:
    assert chosen_organism(Fake(), None) == "demo"
    with pytest.raises(InputError, match="choose from demo"):
        chosen_organism(Fake(), "mouse")
    many = {"DNASE": pd.DataFrame({"track_id": [f"t{i}" for i in range(501)]})}
    with pytest.raises(InputError, match="501 tracks at once"):
        chosen_tracks(many, "")
    with pytest.raises(InputError, match="no track has all of"):
        chosen_tracks(Fake.tracks["demo"], "liver")


class FakeMaps:
    """Contacts that give away which base codes the two bins begin with."""

    def predict(self, codes: np.ndarray, organism: str, *, heads: frozenset[str]) -> dict[str, dict[int, np.ndarray]]:
        assert heads == {"contact_maps"}
        starts = codes[0, ::2048].astype(np.float32)
        return {"contact_maps": {2048: np.stack([10 * starts[:, None] + starts], axis=-1)[None]}}


class Bins:
    """A genome whose bins of 2,048 bp have one code each."""

    sizes = SIZES

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        positions = np.arange(start, end)
        inside = (positions >= 0) & (positions < SIZES[chrom])
        return np.where(inside, positions // 2048 % 4, 4).astype(np.uint8)


@pytest.mark.parametrize("region", [Region("chr1", 0, 50_001), Region("chr1", 9_000, 31_000), Region("chr2", 100, 200)])
def test_each_contact_is_there_once(tmp_path: Path, region: Region) -> None:
    window = 16_384
    (path,) = predict_contacts(FakeMaps(), Bins(), region, "demo", [(0, "m")], tmp_path, window=window)
    file = cooler.Cooler(str(path))
    assert file.binsize == 2048 and dict(file.chromsizes) == SIZES
    first, last = file.extent((region.chrom, 0, SIZES[region.chrom]))
    square = file.matrix(balance=False)[first:last, first:last]
    bins = np.arange(last - first)
    within = (bins >= region.start // 2048) & (bins < -(-region.end // 2048))
    near = np.abs(bins[:, None] - bins) < window // 2048 // 2
    low, high = np.minimum(bins[:, None], bins), np.maximum(bins[:, None], bins)
    expected = 10.0 * (low % 4) + high % 4
    shown = within[:, None] & within & near
    assert np.array_equal(square[shown], expected[shown])
    assert (square[~(within[:, None] & within)] == 0).all()
    assert not file.pixels()[:].duplicated(["bin1_id", "bin2_id"]).any()
    with pytest.raises(InputError, match="no multiple of 8192"):
        predict_contacts(FakeMaps(), Bins(), region, "demo", [(0, "m")], tmp_path, window=2048)


def test_maps_are_found_by_words() -> None:
    assert chosen_maps(Fake.tracks["demo"], "k562") == [(0, "m")] and chosen_maps(Fake.tracks["demo"], "dnase") == []
