"""Every shift and either strand, against loops over single bases."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from toy_world import (
    MAP_BINS,
    MAX_SHIFT,
    SUFFIX,
    TRACKS,
    WINDOW,
    World,
    bases,
    contact_pixel,
    has_data,
    piece,
    usable,
    write_world,
)

from megabase.bundles import BUNDLES
from megabase.errors import InputError
from megabase.store.reader import Example, Shards

SHIFTS = (0, 1, -1, 7, -16, 100, 128, -333, MAX_SHIFT, -MAX_SHIFT)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = write_world(tmp_path_factory.mktemp("reader"))
    world.write_shards()
    return world


@pytest.fixture(scope="module", params=["train", "test"])
def shards(world: World, request: pytest.FixtureRequest) -> Shards:
    return Shards.open(world.shards("m", request.param))


def tracks_of(bundle: str) -> list[tuple[str, str, object]]:
    return [(name + SUFFIX[strand], name, covered) for block in TRACKS[bundle] for name, strand, covered in block]


def places(shards: Shards) -> list[tuple[int, str, int, int]]:
    """Window, chromosome, start and shift of reads at every edge: first, last, short chromosome, within."""
    chosen = sorted({0, 1, len(shards) - 2, len(shards) - 1})
    rows = [(i, *shards.windows.iloc[i][["chrom", "start"]]) for i in chosen]
    return [(i, chrom, int(start) + shift, shift) for i, chrom, start in rows for shift in SHIFTS]


def test_sequence(world: World, shards: Shards) -> None:
    for i, chrom, start, shift in places(shards):
        expected = piece(world.sequence[chrom], start, WINDOW, 4)
        assert np.array_equal(shards.read(i, shift=shift).sequence, expected)


@pytest.mark.parametrize("bundle", ["RNA_SEQ", "DNASE", "ATAC", "CAGE", "PROCAP"])
def test_bases_are_the_stored_bits(world: World, shards: Shards, bundle: str) -> None:
    for i, chrom, start, shift in places(shards):
        example = shards.read(i, shift=shift)
        target = example.targets[BUNDLES[bundle].head]
        assert target.dtype == ml_dtypes.bfloat16 and target.shape == (WINDOW, len(tracks_of(bundle)))
        for column, (track_id, _, covered) in enumerate(tracks_of(bundle)):
            expected = piece(world.stored[bundle, track_id][chrom], start, WINDOW, 0)
            assert np.array_equal(target[:, column].view(np.uint16), expected)
            known = piece(usable(chrom) & has_data(chrom, covered), start, WINDOW, False)
            mask = np.broadcast_to(example.masks[BUNDLES[bundle].head], target.shape)
            assert np.array_equal(mask[:, column], known)


def test_chip_sums_are_area_weighted(world: World, shards: Shards) -> None:
    for i, chrom, start, shift in places(shards):
        example = shards.read(i, shift=shift)
        target, mask = example.targets["chip_tf"], example.masks["chip_tf"]
        assert target.dtype == np.float32 and target.shape == (WINDOW // 128, 3) == mask.shape
        for column, (track_id, _, covered) in enumerate(tracks_of("CHIP_TF")):
            values = piece(bases(world, "CHIP_TF", track_id, chrom), start, WINDOW, 0.0).reshape(-1, 128)
            inside = piece(np.ones(len(usable(chrom)), bool), start, WINDOW, False).reshape(-1, 128)
            data = piece(has_data(chrom, covered), start, WINDOW, False).reshape(-1, 128)
            known = piece(usable(chrom), start, WINDOW, False).reshape(-1, 128).sum(axis=1) >= 64
            whole = inside.all(axis=1)
            np.testing.assert_allclose(target[whole, column], values.sum(axis=1)[whole], rtol=2e-6, atol=1e-6)
            assert np.array_equal(mask[:, column], data.all(axis=1) & known)


def test_contact_maps_are_area_weighted(world: World, shards: Shards) -> None:
    known = 0
    for i, chrom, start, shift in places(shards):
        target = shards.read(i, shift=shift).targets["contact_maps"]
        assert target.dtype == np.float32 and target.shape == (4, 4, 2)
        for column, (track_id, name, _) in enumerate(tracks_of("CONTACT_MAPS")):
            band = world.stored["CONTACT_MAPS", track_id][chrom]
            corners = start + 2048 * np.arange(4)
            expected = [[contact_pixel(band, MAP_BINS[name], a, b) for b in corners] for a in corners]
            np.testing.assert_allclose(target[:, :, column], expected, rtol=1e-5, atol=1e-6)
            known += np.isfinite(expected).sum()
    assert known > 100


def test_a_short_chromosome_is_padded_on_both_sides(world: World) -> None:
    shards = Shards.open(world.shards("m", "train"))
    i = int(np.flatnonzero(shards.windows["chrom"] == "chrB")[0])
    assert tuple(shards.windows.iloc[i]) == ("chrB", -1595, 6597)
    example = shards.read(i)
    outside = np.r_[0:1595, 6596:WINDOW]
    assert (example.sequence[outside] == 4).all() and (example.sequence[1595:6596] < 4).all()
    assert not example.masks["rna_seq"][outside].any() and example.masks["rna_seq"][1595:6596].all()
    # ATAC's first track has no data on this chromosome: masked, not zero.
    assert not example.masks["atac"][:, 0].any() and example.masks["atac"][1595:6596, 1].all()


def test_mask_shapes_depend_on_the_tracks_alone(shards: Shards) -> None:
    shapes = {head: mask.shape for head, mask in shards.read(0).masks.items()}
    assert shapes == {
        "rna_seq": (WINDOW, 1),
        "dnase": (WINDOW, 1),
        "cage": (WINDOW, 1),
        "atac": (WINDOW, 2),
        "procap": (WINDOW, 1),
        "chip_tf": (WINDOW // 128, 3),
        "contact_maps": (WINDOW // 2048, 1),
    }
    for i in range(len(shards)):
        for turned in (False, True):
            example = shards.read(i, shift=5, reverse_complement=turned)
            assert {head: mask.shape for head, mask in example.masks.items()} == shapes
    assert [shards.masked_by_track(name) for name in ("RNA_SEQ", "ATAC", "PROCAP")] == [False, True, True]


def turned(example: Example) -> Example:
    """The other strand, base by base."""
    last = WINDOW - 1
    sequence = np.array([(3, 2, 1, 0, 4)[example.sequence[last - at]] for at in range(WINDOW)], np.uint8)
    targets, masks = {}, {}
    swap = {"rna_seq": [1, 0, 2], "cage": [1, 0]}
    for head, target in example.targets.items():
        rows, tracks = len(target), target.shape[-1]
        mask = example.masks[head]
        order = swap.get(head, list(range(tracks)))
        new, known = np.zeros_like(target), np.zeros_like(mask)
        for at in range(rows):
            # DNase counts a cut at its right base, which is the left one from the other side: one further on.
            source = rows - 1 - at + (1 if head == "dnase" else 0)
            if source >= rows:
                continue
            for column in range(tracks):
                if head == "contact_maps":
                    new[at, :, column] = target[source, ::-1, column]
                else:
                    new[at, column] = target[source, order[column]]
            for column in range(mask.shape[1]):
                known[at, column] = mask[source, order[column] if mask.shape[1] == tracks else column]
        if head == "procap":
            known[:] = False
        targets[head], masks[head] = new, known
    return Example(sequence, targets, masks)


def test_reverse_complement(shards: Shards) -> None:
    for i, shift in ((0, 0), (1, -77), (len(shards) - 1, 333)):
        expected = turned(shards.read(i, shift=shift))
        found = shards.read(i, shift=shift, reverse_complement=True)
        assert np.array_equal(found.sequence, expected.sequence)
        for head, target in expected.targets.items():
            assert np.array_equal(found.targets[head], target, equal_nan=head == "contact_maps"), head
            assert np.array_equal(found.masks[head], expected.masks[head]), head


def test_the_reverse_complement_of_the_reverse_complement(shards: Shards) -> None:
    """The window itself, wherever both strands know it."""
    for i, shift in ((0, 5), (1, -77), (len(shards) - 1, 333)):
        forward = shards.read(i, shift=shift)
        twice = shards._reversed(shards.read(i, shift=shift, reverse_complement=True))
        assert np.array_equal(twice.sequence, forward.sequence)
        for head, target in forward.targets.items():
            # A cut at the first base lies at the window's end on the other strand, and outside.
            rows = slice(1, None) if head == "dnase" else slice(None)
            assert np.array_equal(twice.targets[head][rows], target[rows], equal_nan=head == "contact_maps"), head
            known = np.zeros_like(forward.masks[head]) if head == "procap" else forward.masks[head]
            assert np.array_equal(twice.masks[head][rows], known[rows]), head


def test_a_shift_beyond_the_margin_is_refused(shards: Shards) -> None:
    with pytest.raises(InputError, match=f"a shift of {MAX_SHIFT + 1} bp; stay within {MAX_SHIFT}"):
        shards.read(0, shift=MAX_SHIFT + 1)


def test_tables_of_tracks(shards: Shards) -> None:
    assert list(shards.tracks) == list(TRACKS)
    table = shards.tracks["RNA_SEQ"]
    assert table["track_id"].tolist() == ["liver.plus", "liver.minus", "heart"]
    assert table["index"].tolist() == [0, 1, 2] and table["nonzero_mean"].tolist() == [1.5] * 3
    assert (shards.organism, shards.organism_index, shards.assembly) == ("toy", 0, "toy1")


def test_no_shards(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no shards here; write them"):
        Shards.open(tmp_path)
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(InputError, match="not shards"):
        Shards.open(tmp_path)
