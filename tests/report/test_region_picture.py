"""The picture of bigWig files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from alphagenome.data import genome
from matplotlib.image import imread

from megabase.commands.predict import predict
from megabase.errors import InputError
from megabase.report.region import MOST, draw_bigwigs


def bigwig(path: Path, values: np.ndarray) -> Path:
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([("chr1", 20_000)])
        file.addEntries("chr1", 0, values=values.tolist(), span=1, step=1)
    return path


def blue(path: Path) -> np.ndarray:
    """Where the picture has the colour of tracks, by column."""
    red, green, own = np.moveaxis(imread(path)[..., :3], -1, 0)
    return ((own > 0.6) & (red < 0.3) & (green < 0.6)).sum(axis=0)


def test_a_peak_of_one_base_is_drawn_where_it_is(tmp_path: Path) -> None:
    values = np.zeros(12_000, np.float32)
    values[2_000:2_040] = 5
    paths = [bigwig(tmp_path / "dnase.a.bw", values), bigwig(tmp_path / "rna_seq.b$+.bw", values * 0)]
    region = genome.Interval("chr1", 0, 16_000)  # beyond what the files have
    out = draw_bigwigs(paths, region, [], tmp_path / "tracks.png")
    columns = np.flatnonzero(blue(out))
    assert len(columns) and np.ptp(columns) < 40
    assert 0.1 < columns.mean() / imread(out).shape[1] < 0.4
    later = draw_bigwigs(paths, genome.Interval("chr1", 3_000, 12_000), [], tmp_path / "later.png")
    assert not blue(later).any()


def test_svg_is_text_and_the_number_of_tracks_is_bounded(tmp_path: Path) -> None:
    path = bigwig(tmp_path / "dnase.a.bw", np.arange(3000, dtype=np.float32))
    region = genome.Interval("chr1", 0, 3000)
    one = draw_bigwigs([path], region, [], tmp_path / "one.svg").read_text()
    assert one.lstrip().startswith("<?xml") and not re.search(r"href=\"http", one)
    many = draw_bigwigs([path] * (MOST + 5), region, [], tmp_path / "many.svg").read_text()
    assert many.count('id="axes_') == MOST * one.count('id="axes_')


def test_other_kinds_of_pictures_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no picture"):
        predict(tmp_path, tmp_path, "chr1:0-10", tmp_path, picture="tracks.tiff")
