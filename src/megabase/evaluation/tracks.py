"""Every track of the test windows: predicted by the model, by simple baselines and, where it is known, by the truth.

Paper, Methods, evaluation of genome tracks: predictions of a model on the windows of its own test split, correlated
with what was observed over all usable positions of all windows.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64

from megabase.artifacts import atomic_path, write_text
from megabase.bundles import BUNDLES, Bundle
from megabase.errors import InputError
from megabase.evaluation.baselines import ContactBaselines, NormalEquations, SignalBaselines, composition
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.leakage import check_split, check_windows
from megabase.evaluation.loci import for_picture, pick_loci
from megabase.evaluation.observed import COARSE, Observed, observed_values, predicted_values, to_bases
from megabase.evaluation.profiles import StartProfiles
from megabase.evaluation.truth import Truth
from megabase.genome.reference import Reference
from megabase.metrics.bootstrap import Pooled
from megabase.metrics.moments import mean_absolute_error, mean_squared_error, moments, pearson
from megabase.scoring.predict import Predictor
from megabase.store.reader import Shards

logger = logging.getLogger(__name__)

PROFILE_COLUMNS = ["model", "organism", "output_type", "track", "strand", "predictor", "metric", "value", "genes"]
TRACK_COLUMNS = [*PROFILE_COLUMNS[:5], "resolution", "split", *PROFILE_COLUMNS[5:8], "lower", "upper", "n", "command"]

_EVERY = 10.0


def evaluate(
    model: Path,
    shards: Mapping[str, Mapping[str, Path]],
    references: Mapping[str, Path],
    truths: Mapping[str, Path | None],
    out: Path,
    config: EvaluationConfig,
    command: str,
) -> None:
    """Scores the exported model in `model` on the test windows of each organism and writes, under `out`,

    - `tracks.tsv`: `TRACK_COLUMNS`, one row per track, resolution, predictor and metric. Metrics are `pearson`,
      `log1p_pearson` (of log(1 + x), negative predictions as 0; not for contact maps, which are logarithms), `mse` and
      `mae`, pooled over the usable positions of all windows, with 95 % intervals from resampled windows; `n` is the
      number of these positions and `command` how to make the table again. Predictors are `model`, `track_mean` (the
      training mean: a constant, whose correlation is 0 by convention), `local_gc` and `ridge` (base composition; fitted
      at 128 bp, spread evenly over the bases for 1 bp), `distance` (contact maps) and `oracle` (the true rates of a
      simulated world, scaled to the training windows);
    - `profiles.tsv`, `profiles.npz`: mean profiles around gene starts in 16-bp bins, and their correlation;
    - `loci.npz`: observed and predicted values of a few windows (`megabase.report.loci` reads it).

    Raises InputError where the model was trained on another split or other tracks, where a test window overlaps a
    training window, and where there are no test windows.
    """
    description = json.loads((model / "model.json").read_text())
    predictor = Predictor.load(model)
    rows: list[pd.DataFrame] = []
    profile_rows: list[pd.DataFrame] = []
    profiles: dict[str, Any] = {}
    loci: dict[str, Any] = {}
    for organism, splits in shards.items():
        train, test = Shards.open(splits["train"]), Shards.open(splits["test"])
        for split in (train, test):
            check_split(description["split_hashes"].get(organism), split.split_hash, organism, model)
        check_windows(train.windows, test.windows, splits["test"])
        if not len(test.windows):
            raise InputError("no test windows", where=splits["test"], remedy="widen organisms.*.folds.*.test")
        starts = StartProfiles(Reference.open(references[organism]).genes(), test.windows, config.start_flank)
        scored = _Organism(organism, train, test, predictor, truths.get(organism), starts, config)
        scored.fit()
        scored.score()
        named = {"model": model.name, "organism": organism}
        rows.append(scored.table().assign(**named, split="test", command=command))
        profile_rows.append(scored.profile_table().assign(**named))
        profiles |= {f"{organism}/offsets": starts.bin_starts}
        profiles |= {f"{organism}/{bundle}/{name}": starts.mean(bundle, name) for bundle, name in starts.predictors()}
        loci |= scored.loci
    _write(out, pd.concat(rows)[TRACK_COLUMNS], pd.concat(profile_rows)[PROFILE_COLUMNS], profiles, loci)


def _write(out: Path, rows: pd.DataFrame, profile_rows: pd.DataFrame, profiles: dict, loci: dict) -> None:
    for name, arrays in (("profiles.npz", profiles), ("loci.npz", loci)):
        with atomic_path(out / name) as partial:
            np.savez_compressed(partial, **arrays)
    for name, table in (("profiles.tsv", profile_rows), ("tracks.tsv", rows)):
        write_text(out / name, table.to_csv(sep="\t", index=False, float_format="%.6g"))


class _Organism:
    """One organism's test windows on their way from shards to sums."""

    def __init__(
        self,
        name: str,
        train: Shards,
        test: Shards,
        predictor: Predictor,
        truth: Path | None,
        starts: StartProfiles,
        config: EvaluationConfig,
    ) -> None:
        self.name, self.train, self.test, self.predictor = name, train, test, predictor
        self.starts, self.config = starts, config
        self.bundles = [BUNDLES[key] for key in test.tracks if BUNDLES[key].kind != "splicing"]
        self.truths = {
            bundle.name: Truth(truth / bundle.name, list(test.tracks[bundle.name]["track_id"]), bundle.store_bin)
            for bundle in self.bundles
            if truth is not None and bundle.kind == "signal"
        }
        self.truth_scale: dict[str, Float64[np.ndarray, " tracks"]] = {}
        self.signal: dict[str, SignalBaselines] = {}
        self.contacts: dict[str, ContactBaselines] = {}
        self.pooled: dict[tuple[str, int, str, bool], Pooled] = {}
        self.totals: Float64[np.ndarray, "windows bundles"]
        self.loci: dict[str, Any] = {}

    def fit(self) -> None:
        """Fits the baselines on training windows that do not overlap each other, so that each base counts once."""
        widths, windows = self.config.baseline_windows, self.train.windows
        features = len(composition(np.zeros(max(widths), np.uint8), widths)[0])
        tracks = {bundle.name: len(self.train.tracks[bundle.name]) for bundle in self.bundles}
        equations = {b.name: NormalEquations(features, tracks[b.name]) for b in self.bundles if b.kind == "signal"}
        true_sums = {name: np.zeros(tracks[name]) for name in self.truths}
        for i in _progress(_apart(windows), f"{self.name}: fitting baselines on window"):
            example, place = self.train.read(i), windows.iloc[i]
            here = composition(example.sequence, widths)
            for bundle in self.bundles:
                observed = self._observed(bundle, example, bundle.resolutions[-1])
                if bundle.kind == "contact_maps":
                    bins = self.train.window_length // bundle.resolutions[0]
                    baselines = self.contacts.setdefault(bundle.name, ContactBaselines(bins, tracks[bundle.name]))
                    baselines.add(observed)
                    continue
                equations[bundle.name].add(here, observed)
                if bundle.name in self.truths:
                    rates = _binned(self.truths[bundle.name].read(place["chrom"], place["start"], place["end"]), COARSE)
                    true_sums[bundle.name] += np.where(observed.usable, rates, 0).sum(axis=0, dtype=np.float64)
        for name, fitted in equations.items():
            self.signal[name] = SignalBaselines(fitted, widths, self.config.ridge_penalty)
            if name in self.truths:
                # Only the shape of the truth is known: its level is that of the training windows.
                true = true_sums[name]
                self.truth_scale[name] = np.where(true > 0, fitted.sum / np.where(true > 0, true, 1), 1.0)

    def score(self) -> None:
        """Predicts every test window once and adds up everything the tables are made of."""
        windows = self.test.windows
        picked = {window: rank for rank, window in enumerate(pick_loci(windows, self._window_totals()))}
        self._describe_loci(list(picked))
        for i in _progress(range(len(windows)), f"{self.name}: scoring test window"):
            example = self.test.read(i)
            predicted = self.predictor.predict(
                example.sequence[None], self.name, reverse_complement_average=self.config.reverse_complement
            )
            features = composition(example.sequence, self.config.baseline_windows)
            for bundle in self.bundles:
                by_resolution = {r: values[0] for r, values in predicted[bundle.head].items()}
                self._check_tracks(bundle, by_resolution)
                baselines = self._baselines(bundle, features)
                truth = self._truth(bundle, windows.iloc[i])
                for resolution in bundle.resolutions:
                    observed = self._observed(bundle, example, resolution)
                    values = {"model": predicted_values(bundle, by_resolution[resolution])}
                    for name, coarse in baselines.items():
                        values[name] = to_bases(coarse, resolution) if bundle.kind == "signal" else coarse
                    if truth is not None:
                        values["oracle"] = _binned(truth, resolution)
                    self._add(i, bundle, resolution, observed, values)
                    if resolution == bundle.resolutions[0]:
                        self._add_profiles(i, bundle, resolution, observed, values)
                        if i in picked:
                            self._keep_locus(picked[i], bundle, example, observed, by_resolution[resolution])

    def table(self) -> pd.DataFrame:
        """One row per track, resolution, predictor and metric."""
        tables = []
        for (bundle, resolution, predictor, logarithm), pooled in self.pooled.items():
            metrics = {"pearson": pearson, "mse": mean_squared_error, "mae": mean_absolute_error}
            for metric, statistic in ({"log1p_pearson": pearson} if logarithm else metrics).items():
                lower, upper = pooled.interval(statistic)
                columns = {"value": statistic(pooled.sums), "lower": lower, "upper": upper}
                table = self.test.tracks[bundle][["track", "strand"]].reset_index(drop=True)
                table = table.assign(**columns, n=pooled.sums[:, 0].astype(np.int64))
                tables.append(
                    table.assign(output_type=bundle, resolution=resolution, predictor=predictor, metric=metric)
                )
        return pd.concat(tables)

    def profile_table(self) -> pd.DataFrame:
        """Correlation of each predictor's mean profile around gene starts with the observed one."""
        tables = [pd.DataFrame(columns=PROFILE_COLUMNS)]
        for bundle, predictor in self.starts.predictors():
            if predictor != "observed":
                table = self.test.tracks[bundle][["track", "strand"]].reset_index(drop=True)
                columns = {"value": self.starts.correlation(bundle, predictor), "genes": self.starts.genes(bundle)}
                tables.append(table.assign(**columns, output_type=bundle, predictor=predictor, metric="pearson"))
        return pd.concat([table for table in tables if len(table)] or tables)

    def _observed(self, bundle: Bundle, example: Any, resolution: int) -> Observed:
        return observed_values(bundle, example.targets[bundle.head], example.masks[bundle.head], resolution)

    def _baselines(self, bundle: Bundle, features: np.ndarray) -> dict[str, np.ndarray]:
        if bundle.kind == "signal":
            return dict(self.signal[bundle.name].predict(features))
        return dict(self.contacts[bundle.name].predict())

    def _truth(self, bundle: Bundle, place: pd.Series) -> np.ndarray | None:
        if bundle.name not in self.truths:
            return None
        rates = self.truths[bundle.name].read(place["chrom"], place["start"], place["end"])
        return (rates * self.truth_scale[bundle.name]).astype(np.float32)

    def _check_tracks(self, bundle: Bundle, by_resolution: Mapping[int, np.ndarray]) -> None:
        predicted, stored = by_resolution[bundle.resolutions[-1]].shape[-1], len(self.test.tracks[bundle.name])
        if predicted != stored:
            raise InputError(
                f"the model predicts {predicted} tracks of {bundle.name}, the store has {stored}",
                where=f"organism {self.name}",
                remedy="train the model again on this store",
            )

    def _window_totals(self) -> Float64[np.ndarray, "windows bundles"]:
        """Usable observed signal per window and signal bundle."""
        signal = [bundle for bundle in self.bundles if bundle.kind == "signal"]
        self.totals = np.zeros((len(self.test.windows), len(signal)))
        for i in range(len(self.totals)):
            example = self.test.read(i)
            for column, bundle in enumerate(signal):
                data, usable = self._observed(bundle, example, bundle.resolutions[0])
                self.totals[i, column] = np.sum(data, where=usable, dtype=np.float64)
        return self.totals

    def _add(
        self, i: int, bundle: Bundle, resolution: int, observed: Observed, predicted: Mapping[str, np.ndarray]
    ) -> None:
        scales = (False, True) if bundle.kind == "signal" else (False,)
        for logarithm in scales:
            x = np.log1p(np.maximum(observed.data, 0)) if logarithm else observed.data
            for name, values in predicted.items():
                y = np.log1p(np.maximum(values, 0)) if logarithm else values
                key = (bundle.name, resolution, name, logarithm)
                pooled = self.pooled.setdefault(key, Pooled(len(self.test.windows), self.config.bootstrap))
                pooled.add(i, moments(x, y, observed.usable))

    def _add_profiles(
        self, i: int, bundle: Bundle, resolution: int, observed: Observed, predicted: Mapping[str, np.ndarray]
    ) -> None:
        if bundle.kind != "signal":
            return
        strands = self.test.tracks[bundle.name]["strand"].to_numpy()
        shown = {"observed": observed.data}
        shown |= {name: predicted[name] for name in ("model", "ridge", "oracle") if name in predicted}
        for name, values in shown.items():
            self.starts.add(i, bundle.name, name, values, observed.usable, resolution, strands)

    def _describe_loci(self, picked: list[int]) -> None:
        """`{organism}/loci` and `{organism}/tracks`: JSON of the windows and of the tracks in the arrays' order."""
        columns = ["chrom", "start", "end"]
        places = self.test.windows.iloc[picked][columns].to_dict("records")
        tracks = {
            bundle.name: self.test.tracks[bundle.name][["track", "strand"]].to_dict("records")
            for bundle in self.bundles
        }
        self.loci[f"{self.name}/loci"] = np.array(json.dumps(places, default=int))
        self.loci[f"{self.name}/tracks"] = np.array(json.dumps(tracks))

    def _keep_locus(self, rank: int, bundle: Bundle, example: Any, observed: Observed, predicted: np.ndarray) -> None:
        """`{organism}/{rank}/{bundle}/observed` and `/predicted` ([bins, tracks] or square maps), and `/bin` in bp."""
        place = f"{self.name}/{rank}/{bundle.name}"
        if bundle.kind == "contact_maps":
            pair = (np.asarray(example.targets[bundle.head], np.float32), predicted.astype(np.float32))
            bin_size = bundle.resolutions[0]
        else:
            first = bundle.resolutions[0]
            shown, bin_size = for_picture(np.where(observed.usable, observed.data, 0), first)
            pair = (shown, for_picture(predicted, first)[0])
        self.loci |= {f"{place}/observed": pair[0], f"{place}/predicted": pair[1], f"{place}/bin": np.array(bin_size)}


def _apart(windows: pd.DataFrame) -> list[int]:
    """Windows in order of position, each starting where the one before has ended, or later."""
    taken: list[int] = []
    chroms, starts, ends = (windows[column].tolist() for column in ("chrom", "start", "end"))
    for i in sorted(range(len(windows)), key=lambda i: (chroms[i], starts[i])):
        if not taken or chroms[i] != chroms[taken[-1]] or starts[i] >= ends[taken[-1]]:
            taken.append(i)
    return taken


def _binned(bases: np.ndarray, resolution: int) -> np.ndarray:
    return bases.reshape(-1, resolution, bases.shape[1]).sum(axis=1)


def _progress(windows: Any, doing: str) -> Iterator[int]:
    """The windows, with a line of progress every ten seconds."""
    said = time.monotonic()
    for done, window in enumerate(windows):
        yield window
        if time.monotonic() - said > _EVERY:
            said = time.monotonic()
            logger.info("%s %d of %d", doing, done + 1, len(windows))
