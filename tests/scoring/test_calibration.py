"""Quantiles: where a score stands among those of common variants."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from alphagenome.data import genome
from alphagenome.models import variant_scorers
from small_model import WINDOW, write_model, write_reference
from test_variant_scores import VARIANTS, changed, other, row, write_vcf

import megabase.scoring
from megabase.commands.score import score
from megabase.errors import InputError
from megabase.scoring.calibration import KNOTS, Calibration, calibrate, probabilities, signed
from megabase.scoring.config import SCORERS
from megabase.scoring.sequences import window

BACKGROUND = [changed("chr1", place, 1, other("chr1", place), f"b{place}") for place in range(2600, 6200, 91)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibration")
    write_reference(folder / "reference")
    write_model(folder / "model")
    write_vcf(folder / "common.vcf", [row(variant) for variant in BACKGROUND])
    write_vcf(folder / "own.vcf", [row(variant) for variant in VARIANTS[:2]])
    score(folder / "common.vcf", folder / "model", folder / "reference", folder / "common.parquet", "first", NAMES, 8)
    calibrate(folder / "common.parquet", folder / "quantiles.parquet")
    return folder


NAMES = ["DNASE", "DNASE_ACTIVE", "RNA_SEQ"]


def test_knots_are_close_at_both_ends() -> None:
    shares = probabilities()
    assert len(shares) == KNOTS and shares[0] == pytest.approx(1e-5) and shares[-1] == pytest.approx(0.99999)
    assert np.diff(shares)[0] < np.diff(shares)[KNOTS // 2] / 1000
    assert [signed(SCORERS[name]) for name in ("DNASE", "DNASE_ACTIVE", "RNA_SEQ", "CONTACT_MAPS")] == [
        True,
        False,
        True,
        False,
    ]


def test_the_background_is_evenly_spread(made: Path) -> None:
    table = pd.read_parquet(made / "common.parquet")
    calibration = Calibration(made / "quantiles.parquet", _description(made), "first")
    for name in NAMES:
        for track, own in table[table["scorer"] == name].groupby("track"):
            scores = own["raw_score"].to_numpy()
            found = calibration.quantiles(SCORERS[name], scores, np.full(len(scores), track))
            low, high = (-1, 1) if signed(SCORERS[name]) else (0, 1)
            assert low < found.min() and found.max() < high
            assert (np.argsort(found, kind="stable") == np.argsort(scores, kind="stable")).all()
            even = low + (high - low) * (np.arange(len(scores)) + 0.5) / len(scores)
            assert np.abs(np.sort(found) - even).max() < (high - low) * 1.5 / len(scores)
    far = np.array([-1e9, 1e9], np.float32)
    np.testing.assert_allclose(calibration.quantiles(SCORERS["DNASE"], far), [-0.99999, 0.99999], rtol=1e-6)
    np.testing.assert_allclose(calibration.quantiles(SCORERS["DNASE_ACTIVE"], far), [1e-5, 0.99999], rtol=1e-4)
    unknown = calibration.quantiles(SCORERS["DNASE"], np.array([np.nan, 0, 0], np.float32), np.array([0, 1, 7]))
    assert np.isnan(unknown).tolist() == [True, False, True]


def test_of_equal_scores_one_place_is_drawn(made: Path) -> None:
    table = pd.read_parquet(made / "common.parquet").assign(raw_score=np.float32(0.5))
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = pq.read_schema(made / "common.parquet").metadata
    flat = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(metadata)
    pq.write_table(flat, made / "flat.parquet")
    calibrate(made / "flat.parquet", made / "flat_quantiles.parquet")
    calibration = Calibration(made / "flat_quantiles.parquet", _description(made), "first")
    many = calibration.quantiles(SCORERS["DNASE_ACTIVE"], np.full(2000, 0.5, np.float32), np.zeros(2000, int))
    assert many.min() < 0.01 and many.max() > 0.99
    again = calibration.quantiles(SCORERS["DNASE_ACTIVE"], np.full(2000, 0.5, np.float32), np.zeros(2000, int))
    np.testing.assert_array_equal(many, again)


def test_scores_come_with_their_quantiles(made: Path) -> None:
    out = score(
        made / "own.vcf",
        made / "model",
        made / "reference",
        made / "own.parquet",
        "first",
        NAMES,
        calibration=made / "quantiles.parquet",
    )
    table = pd.read_parquet(out)
    assert table["quantile_score"].notna().all() and table["quantile_score"].abs().max() < 1

    shutil.copy(made / "quantiles.parquet", made / "model" / "quantiles.first.parquet")
    model = megabase.scoring.load(made / "model", made / "reference", reverse_complement_average=True)
    (made / "model" / "quantiles.first.parquet").touch()
    variant = VARIANTS[0]
    scorer = variant_scorers.RECOMMENDED_VARIANT_SCORERS["DNASE"]
    own = genome.Variant(variant.chrom, variant.position, variant.ref, variant.alt)
    scored = model.score_variant(genome.Interval(*window(variant, WINDOW)), own, [scorer])
    tidy = variant_scorers.tidy_scores([scored])
    wanted = table[(table["variant_id"] == variant.id) & (table["scorer"] == "DNASE")]
    np.testing.assert_allclose(tidy["raw_score"], wanted["raw_score"], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(tidy["quantile_score"], wanted["quantile_score"], atol=0.02)


def test_of_another_model_or_no_table_at_all(made: Path) -> None:
    with pytest.raises(InputError, match="not of second by this model"):
        Calibration(made / "quantiles.parquet", _description(made), "second")
    with pytest.raises(InputError, match="no scores of ours"):
        calibrate(made / "common.vcf", made / "x.parquet")
    assert not (made / "x.parquet").exists()


def _description(made: Path) -> dict:
    import json

    return json.loads((made / "model" / "model.json").read_text())
