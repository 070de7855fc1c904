"""The tables of an evaluation against the same numbers worked out over all positions at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held_out_world import HEADS, LENGTH, TRACKS, World

from megabase.errors import InputError
from megabase.evaluation import tracks
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.summary import summarise

CONFIG = EvaluationConfig(bootstrap=20, start_flank=128)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Evaluates a model that predicts what was observed, with noise, and gives the folder of its tables."""

    def evaluated(
        noise: float = 1.0,
        truth: Path | None = None,
        change: Callable[[dict], dict] = dict,
        config: EvaluationConfig = CONFIG,
    ) -> Path:
        class Reference:
            @classmethod
            def open(cls, _: Path) -> Reference:
                return cls()

            def genes(self) -> pd.DataFrame:
                return world.genes()

            def exons(self) -> pd.DataFrame:
                return world.exons()

            def polya(self) -> pd.DataFrame:
                return pd.DataFrame(columns=["chrom", "position", "strand", "gene_id", "pas_id"])

        class Predictor:
            read_at: dict[str, int] = {}  # noqa: RUF012

            @classmethod
            def load(cls, _: Path) -> Predictor:
                return cls()

            def predict(self, codes: np.ndarray, organism: str, reverse_complement_average: bool = True) -> dict:
                assert (codes.shape, organism, reverse_complement_average) == ((1, LENGTH), "demo", True)
                (example,) = (e for e in examples(world) if (e.sequence == codes[0]).all())
                draw, made = np.random.default_rng(int(codes.sum())), {}
                for head in HEADS:
                    values = np.nan_to_num(example.targets[head])[None]
                    made[head] = values + noise * draw.normal(size=values.shape)
                made = change(made)
                # The 128-bp head of the model says half of what its 1-bp head says: each resolution has its own.
                return {
                    head: {1: v, 128: v.reshape(1, -1, 128, v.shape[-1]).sum(2) / 2}
                    if v.shape[1] == LENGTH
                    else {2048 if head == "contact_maps" else 128: v}
                    for head, v in made.items()
                }

        monkeypatch.setattr(tracks, "Reference", Reference)
        monkeypatch.setattr(tracks, "Predictor", Predictor)
        monkeypatch.setattr(tracks, "Shards", world.opener())
        out = world.folder / "evaluation" / "fold_0"
        shards = {"demo": {split: world.folder / f"{split}.zarr" for split in ("train", "test")}}
        tracks.evaluate(world.model, shards, {"demo": world.folder}, {"demo": truth}, out, config, "make evaluation")
        return out

    return evaluated


def examples(world: World) -> list:
    return [world.example(chrom, start) for chrom, start, _ in world.windows["test"]]


def value(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, wanted in where.items():
        table = table[table[column] == wanted]
    assert len(table) == 1, where
    return table.iloc[0]


def test_an_exact_model_is_exact_at_every_resolution(run: Callable[..., Path]) -> None:
    table = pd.read_csv(run(noise=0.0) / "tracks.tsv", sep="\t")
    assert list(table.columns) == tracks.TRACK_COLUMNS
    model = table[(table["predictor"] == "model") & (table["metric"] == "pearson")]
    assert {(row.output_type, row.resolution) for row in model.itertuples()} == {
        ("DNASE", 1), ("DNASE", 128), ("CAGE", 1), ("CAGE", 128), ("CHIP_TF", 128), ("CONTACT_MAPS", 2048),
    }  # fmt: skip
    np.testing.assert_allclose(model["value"], 1, atol=1e-6)
    assert len(model) == 2 * 3 + 2
    exact = value(table, output_type="DNASE", resolution=1, predictor="model", metric="mse")
    halved = value(table, output_type="DNASE", resolution=128, predictor="model", metric="mse")
    assert exact["value"] == pytest.approx(0, abs=1e-9)
    assert halved["value"] > 1, "the 128-bp prediction must come from the model's 128-bp head"


def test_correlations_are_pooled_over_usable_positions_of_all_windows(world: World, run: Callable[..., Path]) -> None:
    table = pd.read_csv(run(noise=1.0) / "tracks.tsv", sep="\t")
    x, y = [], []
    for example in examples(world):
        draw = np.random.default_rng(int(example.sequence.sum()))
        for head, bundle in HEADS.items():
            target = example.targets[head]
            predicted = np.nan_to_num(target) + draw.normal(size=(1, *target.shape))[0]
            if bundle == "CAGE":
                usable = example.masks[head][:, 0]
                x.append(target[usable, 1])
                y.append(predicted[usable, 1])
    x, y = np.concatenate(x).astype(float), np.concatenate(y)
    row = value(table, output_type="CAGE", strand="-", resolution=1, predictor="model", metric="pearson")
    assert row["value"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-5)
    assert row["n"] == len(x)
    assert row["lower"] < row["value"] < row["upper"]
    assert row["command"] == "make evaluation"
    log = value(table, output_type="CAGE", strand="-", resolution=1, predictor="model", metric="log1p_pearson")
    assert log["value"] == pytest.approx(np.corrcoef(np.log1p(x), np.log1p(np.maximum(y, 0)))[0, 1], abs=1e-5)


def test_a_shift_of_64_bp_and_swapped_strands_show(run: Callable[..., Path]) -> None:
    def broken(made: dict) -> dict:
        return made | {"dnase": np.roll(made["dnase"], 64, axis=1), "cage": made["cage"][..., ::-1]}

    right, wrong = (pd.read_csv(run(change=change) / "tracks.tsv", sep="\t") for change in (dict, broken))
    where = {"resolution": 1, "predictor": "model", "metric": "pearson"}
    for output_type, strand in (("DNASE", "."), ("CAGE", "+"), ("CAGE", "-")):
        before, after = (value(table, output_type=output_type, strand=strand, **where) for table in (right, wrong))
        assert before["lower"] > 0.7
        assert after["upper"] < 0.3
    same = {"output_type": "CHIP_TF", "predictor": "model", "metric": "pearson"}
    assert value(right, **same)["value"] == value(wrong, **same)["value"]


def test_baselines_are_fitted_on_as_many_windows_as_asked_for(world: World, run: Callable[..., Path]) -> None:
    config = EvaluationConfig(bootstrap=0, start_flank=128, fit_windows=1)
    table = pd.read_csv(run(config=config) / "tracks.tsv", sep="\t")
    mean = world.signal["CHIP_TF", "chr1"][:LENGTH].reshape(-1, 128).sum(axis=1).mean()
    observed = world.signal["CHIP_TF", "chr2"].reshape(-1, 128).sum(axis=1)
    row = value(table, output_type="CHIP_TF", predictor="track_mean", metric="mse")
    assert row["value"] == pytest.approx(np.mean((observed - mean) ** 2), rel=1e-4)


def test_the_mean_of_training_correlates_with_nothing_but_has_an_error(world: World, run: Callable[..., Path]) -> None:
    table = pd.read_csv(run() / "tracks.tsv", sep="\t")
    rows = table[(table["predictor"] == "track_mean") & (table["metric"] == "pearson")]
    assert (rows["value"] == 0).all()
    assert len(rows) == 8
    mean = world.signal["CHIP_TF", "chr1"].reshape(-1, 128).sum(axis=1).mean()
    observed = world.signal["CHIP_TF", "chr2"].reshape(-1, 128).sum(axis=1)
    row = value(table, output_type="CHIP_TF", predictor="track_mean", metric="mse")
    assert row["value"] == pytest.approx(np.mean((observed - mean) ** 2), rel=1e-4)


def test_composition_predicts_what_follows_composition(run: Callable[..., Path]) -> None:
    table = pd.read_csv(run() / "tracks.tsv", sep="\t")
    for bundle in ("DNASE", "CAGE", "CHIP_TF"):
        for predictor in ("local_gc", "ridge"):
            rows = table[(table["output_type"] == bundle) & (table["predictor"] == predictor)]
            coarse = rows[(rows["resolution"] == 128) & (rows["metric"] == "pearson")]
            assert (coarse["value"] > 0.5).all(), (bundle, predictor)
            fine = rows[(rows["resolution"] == 1) & (rows["metric"] == "pearson")]
            assert fine["value"].between(0.05, 0.5).all()
    distance = value(table, output_type="CONTACT_MAPS", predictor="distance", metric="pearson")
    assert distance["value"] > 0.2
    contacts = set(table[table["output_type"] == "CONTACT_MAPS"]["predictor"])
    assert contacts == {"model", "track_mean", "distance", "local_gc"}


def test_the_oracle_needs_the_truth_only_up_to_a_factor(world: World, run: Callable[..., Path]) -> None:
    errors, correlations = [], []
    for factor in (1.0, 7.0):
        table = pd.read_csv(run(truth=world.write_truth(factor)) / "tracks.tsv", sep="\t")
        where = {"output_type": "CHIP_TF", "predictor": "oracle"}
        errors.append(value(table, metric="mse", **where)["value"])
        correlations.append(value(table, metric="pearson", **where)["value"])
        fine = value(table, output_type="DNASE", resolution=1, predictor="oracle", metric="pearson")
        x = np.where(world.usable, world.signal["DNASE", "chr2"][:, 0], np.nan)
        known = world.usable
        expected = np.corrcoef(x[known], world.rates["DNASE", "chr2"][known, 0])[0, 1]
        assert fine["value"] == pytest.approx(expected, abs=1e-5)
    assert errors[0] == pytest.approx(errors[1], rel=1e-4)
    true = world.rates["CHIP_TF", "chr2"].reshape(-1, 128).sum(axis=1)
    observed = world.signal["CHIP_TF", "chr2"].reshape(-1, 128).sum(axis=1)
    assert correlations[1] == pytest.approx(np.corrcoef(true, observed)[0, 1], abs=1e-3)
    assert errors[0] == pytest.approx(np.mean((observed - true) ** 2), rel=0.1)


def test_a_track_without_truth_is_named(world: World, run: Callable[..., Path]) -> None:
    truth = world.write_truth(1.0)
    (truth / "CAGE" / "caps.minus.npz").unlink()
    with pytest.raises(InputError, match=r"caps\.minus\.npz: no true rates"):
        run(truth=truth)


def test_profiles_follow_the_genes(world: World, run: Callable[..., Path]) -> None:
    out = run()
    profiles = np.load(out / "profiles.npz")
    codes = world.signal["DNASE", "chr2"][:, 0]
    codes = np.where(world.usable, codes, np.nan)
    sense = codes[2000 - 128 : 2000 + 128]
    antisense = codes[6499 - 127 : 6499 + 129][::-1]  # Offset 0 is the gene's first base, 6499, and offset 1 is 6498.
    expected = np.nanmean(np.stack([sense, antisense]).reshape(2, -1, 16), axis=(0, 2))
    np.testing.assert_allclose(profiles["demo/DNASE/observed"][:, 0], expected, rtol=1e-5)
    assert list(profiles["demo/offsets"][[0, -1]]) == [-128, 112]
    minus = world.signal["CAGE", "chr2"][:, 1]
    only = np.nanmean(np.where(world.usable, minus, np.nan)[6499 - 127 : 6499 + 129][::-1].reshape(-1, 16), axis=1)
    np.testing.assert_allclose(profiles["demo/CAGE/observed"][:, 1], only, rtol=1e-5)
    table = pd.read_csv(out / "profiles.tsv", sep="\t")
    assert set(table["predictor"]) == {"model", "ridge"}
    row = value(table, output_type="DNASE", predictor="model")
    assert row["genes"] == 2, "the gene too close to the edge and the one in training must not count"
    correlation = np.corrcoef(expected, profiles["demo/DNASE/model"][:, 0])[0, 1]
    assert row["value"] == pytest.approx(correlation, abs=1e-5)


def test_loci_keep_observed_beside_predicted(world: World, run: Callable[..., Path]) -> None:
    loci = np.load(run(noise=0.0) / "loci.npz")
    places = json.loads(str(loci["demo/loci"]))
    assert len(places) == 5
    assert json.loads(str(loci["demo/tracks"]))["CAGE"] == [{"track": "caps", "strand": s} for s in "+-"]
    first = places[0]
    signal = world.signal["DNASE", "chr2"][first["start"] : first["end"]]
    shown = np.where(world.usable[first["start"] : first["end"], None], signal, 0).reshape(-1, 8, 1).mean(axis=1)
    assert loci["demo/0/DNASE/bin"] == 8
    np.testing.assert_allclose(loci["demo/0/DNASE/observed"], shown, rtol=1e-6)
    assert loci["demo/0/CONTACT_MAPS/predicted"].shape == (4, 4, 1)
    assert loci["demo/0/CHIP_TF/observed"].shape == (LENGTH // 128, 1)


def test_another_split_is_refused(world: World, run: Callable[..., Path]) -> None:
    world.split_hash = "other"
    with pytest.raises(InputError, match="trained on split split of demo, but these windows are of split other"):
        run()


def test_a_test_window_that_was_trained_on_is_refused(world: World, run: Callable[..., Path]) -> None:
    world.windows["test"].append(("chr1", 4 * LENGTH, 5 * LENGTH))
    with pytest.raises(InputError, match=r"test window chr1:32768-40960 of demo was trained on .*held_out_share 0.83"):
        run()


def test_a_model_that_held_out_other_windows_is_refused(world: World, run: Callable[..., Path]) -> None:
    own = [list(window) for window in world.windows["test"]]
    world.describe(held_out={"demo": {"test": own[:2]}})
    with pytest.raises(InputError, match=r"chr2:16384-24576 of demo was trained on \(held_out_share 0.40\)"):
        run()
    world.describe(held_out={"demo": {"test": own}})
    row = value(pd.read_csv(run() / "tracks.tsv", sep="\t"), metric="held_out_share")
    assert (row["value"], row["n"], row["output_type"]) == (1, 5, "ALL")


def test_a_model_of_the_whole_genome_is_refused(world: World, run: Callable[..., Path]) -> None:
    for fold in ("all", "all_folds"):
        world.describe(fold=fold)
        with pytest.raises(InputError, match="no window was held out"):
            run()


def test_no_test_windows_is_an_error(world: World, run: Callable[..., Path]) -> None:
    world.windows["test"] = []
    with pytest.raises(InputError, match="no test windows"):
        run()


def test_the_summary_is_the_mean_over_tracks(run: Callable[..., Path], world: World) -> None:
    out = run(truth=world.write_truth(1.0))
    table = pd.read_csv(out / "tracks.tsv", sep="\t")
    summarise([out / "tracks.tsv"], out / "summary.tsv")
    summary = pd.read_csv(out / "summary.tsv", sep="\t")
    assert set(summary["output_type"]) == {*TRACKS, "ALL"}
    row = value(summary, output_type="CAGE", resolution=128, metric="pearson")
    rows = table[(table["output_type"] == "CAGE") & (table["resolution"] == 128) & (table["metric"] == "pearson")]
    for predictor, column in (("model", "value"), ("ridge", "ridge"), ("oracle", "oracle")):
        assert row[column] == pytest.approx(rows[rows["predictor"] == predictor]["value"].mean(), rel=1e-4)
    assert (row["n"], row["model"], row["command"], row["track_mean"]) == (2, "fold_0", "make evaluation", 0)
    assert np.isnan(value(summary, output_type="CONTACT_MAPS", metric="pearson")["oracle"])
