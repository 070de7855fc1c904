"""A page of one variant or region: self-contained, with what was asked for, and opened in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from alphagenome.data import genome
from alphagenome.data.track_data import TrackData
from small_model import WINDOW, sequence, write_model, write_reference

from megabase.commands.page import page
from megabase.errors import InputError
from megabase.report.variant import binned, score_rows

BROWSER = shutil.which("chromium") or shutil.which("chromium-headless-shell")
REF = sequence("chr1")[4499]
ALT = "ACGT"["CGTA".index(REF)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_reference(folder / "reference")
    write_model(folder / "model")
    page(folder / "model", folder / "reference", folder / "variant.html", f"chr1:4500:{REF}>{ALT}", organism="first")
    return folder


def test_a_variant_has_all_its_sections_and_loads_nothing(made: Path) -> None:
    text = (made / "variant.html").read_text()
    sections = re.findall(r'<section id="(\w+)">', text)
    assert sections == ["tracks", "near", "junctions", "contacts", "scores", "made"]
    assert re.findall(r'<a href="#(\w+)">', text) == sections
    assert "<script" not in text and not re.search(r'(src|href)="(?!#|data:image/png;base64,)', text)
    assert not re.search(r"url\(|@import", text)
    assert text.count("<img") == 5, "tracks, close by, arcs and two contact maps"
    assert f"chr1:4500:{REF}&gt;{ALT}" in text
    rows = re.findall(r"<tr><td>(\w+)</td><td>(\w+)</td>.*?data-value=\"([^\"]+)\"", text)
    assert {row[0] for row in rows} >= {"DNASE", "RNA_SEQ", "CONTACT_MAPS", "SPLICE_SITES", "CAGE_ACTIVE"}
    dnase = [abs(float(value)) for scorer, _, value in rows if scorer == "DNASE"]
    assert dnase == sorted(dnase, reverse=True) and len(dnase) == 2


def test_a_region_has_one_allele_and_no_scores(made: Path) -> None:
    out = page(made / "model", made / "reference", made / "region.html", None, "chr1:3000-5000", "first")
    text = out.read_text()
    assert re.findall(r'<section id="(\w+)">', text) == ["tracks", "junctions", "contacts", "made"]
    assert "ALT" not in re.sub(r'"data:[^"]+"', "", text)
    assert f"chr1:{4000 - WINDOW // 2:,}-{4000 + WINDOW // 2:,}" in text


@pytest.mark.skipif(BROWSER is None, reason="no chromium here (Debian: apt-get install chromium)")
def test_a_browser_draws_every_picture(made: Path, tmp_path: Path) -> None:
    assert BROWSER is not None
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,3000"),
            *(f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'shot.png'}"),
            *("--enable-logging=stderr", (made / "variant.html").as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "ERR_" not in done.stderr and "CONSOLE" not in done.stderr, done.stderr
    import matplotlib.image

    shot = matplotlib.image.imread(tmp_path / "shot.png")[..., :3]
    red = (shot[..., 0] > 0.6) & (shot[..., 1] < 0.35) & (shot[..., 2] < 0.35)
    assert shot.shape[:2] == (3000, 1400) and red.sum() > 200, "the lines of ALT are seen"


@pytest.mark.parametrize(
    ("variant", "region", "said"),
    [
        (None, None, "give --variant or --region"),
        ("chr1:5:A>G", "chr1:0-10", "give --variant or --region"),
        ("chr1:5:A", None, "is no variant"),
        ("chr1:5:A>A", None, "is no variant"),
        ("chr9:5:A>G", None, "no chromosome chr9"),
        (None, "chr1:0-9000", "longer than the window"),
    ],
)
def test_what_is_wrong_is_said(made: Path, variant: str | None, region: str | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        page(made / "model", made / "reference", made / "x.html", variant, region, "first")
    assert not (made / "x.html").exists()


def test_no_peak_is_lost_in_wide_bins() -> None:
    values = np.zeros((16384, 1), np.float32)
    values[9000] = 7
    metadata = pd.DataFrame({"name": ["a"], "strand": ["."]})
    interval = genome.Interval("chr1", 1000, 1000 + 16384)
    wide = binned(TrackData(values, metadata, resolution=1, interval=interval), interval)
    assert len(wide.values) <= 1500 and wide.values.max() == 7  # noqa: PD011
    assert int(wide.values.argmax()) == 9000 // wide.resolution  # noqa: PD011
    close = genome.Interval("chr1", 9500, 10524)
    near = binned(TrackData(values, metadata, resolution=1, interval=interval), close)
    assert near.resolution == 1 and int(near.values.argmax()) == 500  # noqa: PD011


def test_only_the_largest_scores_are_shown() -> None:
    scores = np.linspace(-1, 0.5, 40)
    tidy = pd.DataFrame({"variant_scorer": "DNASE", "raw_score": scores, "quantile_score": scores[::-1]})
    tidy = tidy.assign(output_type="DNASE", track_name="a", track_strand=".", gene_name=None)
    assert [row["score"] for row in score_rows(tidy, False)][:2] == [-1, scores[1]]
    by_quantile = score_rows(tidy, True)
    assert len(by_quantile) == 12 and by_quantile[0]["quantile"] == -1 and by_quantile[0]["gene"] == ""
