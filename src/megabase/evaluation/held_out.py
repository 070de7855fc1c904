"""One organism's test windows on their way from shards to sums."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float64

from megabase.bundles import BUNDLES, Bundle
from megabase.errors import InputError
from megabase.evaluation.baselines import ContactBaselines, NormalEquations, SignalBaselines, composition
from megabase.evaluation.benchmarks.contact_maps import ContactMeasures
from megabase.evaluation.benchmarks.genes import GeneMeasures
from megabase.evaluation.benchmarks.measures import Family
from megabase.evaluation.benchmarks.measures import table as measure_table
from megabase.evaluation.benchmarks.profiles import PeakProfiles
from megabase.evaluation.benchmarks.splice_sites import JunctionShares, splicing_rows
from megabase.evaluation.benchmarks.windows import Coverage, pooled_rows
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.genes import ExpressedGenes
from megabase.evaluation.loci import for_picture, pick_loci
from megabase.evaluation.observed import COARSE, Observed, observed_values, pair_rows, predicted_values, to_bases
from megabase.evaluation.profiles import StartProfiles
from megabase.evaluation.splicing import JUNCTIONS, SITES, USAGE, SplicingScores, candidate_pairs, site_positions
from megabase.evaluation.truth import SplicingTruth, Truth
from megabase.metrics.bootstrap import Pooled
from megabase.metrics.moments import mean_absolute_error, mean_squared_error, moments, pearson
from megabase.scoring.predict import Predictor
from megabase.store.reader import Shards

logger = logging.getLogger(__name__)

Scale = Literal["plain", "log1p", "gene"]
"""What is compared: values, log(1 + values), or logarithms of the means over exons."""
_SCALES: dict[str, tuple[Scale, ...]] = {"signal": ("plain", "log1p"), "contact_maps": ("plain",)}
_METRICS: dict[Scale, dict[str, Any]] = {
    "plain": {"pearson": pearson, "mse": mean_squared_error, "mae": mean_absolute_error},
    "log1p": {"log1p_pearson": pearson},
    "gene": {"gene_pearson": pearson},
}
_EVERY = 10.0
PROFILE_COLUMNS = ["model", "organism", "output_type", "track", "strand", "predictor", "metric", "value", "genes"]


class HeldOut:
    """The windows of a split, the predictors they are scored with, and the sums so far."""

    def __init__(
        self,
        name: str,
        train: Shards,
        test: Shards,
        predictor: Predictor,
        truth: Path | None,
        starts: StartProfiles,
        exons: pd.DataFrame,
        polya: pd.DataFrame,
        config: EvaluationConfig,
    ) -> None:
        self.name, self.train, self.test, self.predictor = name, train, test, predictor
        self.starts, self.config = starts, config
        self.bundles = [BUNDLES[key] for key in test.tracks if BUNDLES[key].kind != "splicing"]
        self.truths = {
            bundle.name: Truth(truth / bundle.name, list(test.tracks[bundle.name]["track_id"]), bundle.store_bin)
            for bundle in self.bundles
            if truth is not None and (bundle.kind == "signal" or (truth / bundle.name).is_dir())
        }
        self.genes = ExpressedGenes(exons, test.windows) if "RNA_SEQ" in test.tracks else None
        self.splicing: SplicingScores | None = None
        self.spliced: SplicingTruth | None = None
        # Where a site is belongs to no biosample: a model of some biosamples' own tracks is not asked, nor what it says
        # of usage and junctions, which are read at sites.
        if SITES in test.tracks:
            self.splicing = SplicingScores(test.tracks, len(test.windows), config)
            if truth is not None:
                curies = [str(condition["ontology_curie"]) for condition in test.conditions]
                self.spliced = SplicingTruth(truth, curies)
        self.families = self._families(polya)
        self.junction_shares = JunctionShares(len(test.windows), config.bootstrap)
        self.junction_sites = 0
        self.truth_scale: dict[str, Float64[np.ndarray, " tracks"]] = {}
        self.signal: dict[str, SignalBaselines] = {}
        self.contacts: dict[str, ContactBaselines] = {}
        self.pooled: dict[tuple[str, int, str, Scale], Pooled] = {}
        self.totals: Float64[np.ndarray, "windows bundles"]
        self.loci: dict[str, Any] = {}

    def fit(self) -> None:
        """Fits the baselines on training windows that do not overlap each other, so that each base counts once."""
        widths, windows = self.config.baseline_windows, self.train.windows
        features = len(composition(np.zeros(max(widths), np.uint8), widths)[0])
        tracks = {bundle.name: len(self.train.tracks[bundle.name]) for bundle in self.bundles}
        equations = {b.name: NormalEquations(features, tracks[b.name]) for b in self.bundles if b.kind == "signal"}
        true_sums = {name: np.zeros(tracks[name]) for name in self.truths}
        chosen = _spread(_apart(windows), self.config.fit_windows)
        for i in _progress(chosen, f"{self.name}: fitting baselines on window"):
            example, place = self.train.read(i), windows.iloc[i]
            here = composition(example.sequence, widths)
            if self.splicing:
                self.splicing.fit(example, self.spliced, place)
            for bundle in self.bundles:
                observed = self._observed(bundle, example, bundle.resolutions[-1])
                if bundle.kind == "contact_maps":
                    bins = self.train.window_length // bundle.resolutions[0]
                    fresh = ContactBaselines(bins, tracks[bundle.name], self.config.ridge_penalty)
                    self.contacts.setdefault(bundle.name, fresh).add(example.sequence, observed)
                    continue
                equations[bundle.name].add(here, observed)
                if bundle.name in self.truths:
                    rates = _binned(self.truths[bundle.name].read(place["chrom"], place["start"], place["end"]), COARSE)
                    true_sums[bundle.name] += np.where(observed.usable, rates, 0).sum(axis=0, dtype=np.float64)
        means: dict[str, np.ndarray] = {name: fitted.mean for name, fitted in equations.items()}
        self.families.append(PeakProfiles(len(self.test.windows), self.config.bootstrap, means))
        if self.splicing:
            self.splicing.finish_fit()
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
            example = self.test.read(i, read_at=self.predictor.read_at)
            predicted = self.predictor.predict(
                example.sequence[None], self.name, reverse_complement_average=self.config.reverse_complement
            )
            features = composition(example.sequence, self.config.baseline_windows)
            if self.splicing:
                self._add_splicing(i, example, predicted)
            for bundle in self.bundles:
                by_resolution = {r: values[0] for r, values in predicted[bundle.head].items()}
                self._check_tracks(bundle, by_resolution)
                baselines = self._baselines(bundle, features, example.sequence)
                truth = self._truth(bundle, windows.iloc[i])
                for resolution in sorted(by_resolution):
                    observed = self._observed(bundle, example, resolution)
                    values = {"model": predicted_values(bundle, by_resolution[resolution])}
                    for name, coarse in baselines.items():
                        values[name] = to_bases(coarse, resolution) if bundle.kind == "signal" else coarse
                    if truth is not None:
                        values["oracle"] = _binned(truth, resolution) if bundle.kind == "signal" else truth
                    self._add(i, bundle, resolution, observed, values)
                    if resolution == bundle.resolutions[0]:
                        for family in self.families:
                            family.add(i, bundle.name, observed, _told(values))
                    if resolution == bundle.resolutions[0]:
                        self._add_profiles(i, bundle, resolution, observed, values)
                        if i in picked:
                            self._keep_locus(picked[i], bundle, example, observed, by_resolution[resolution])

    def table(self) -> pd.DataFrame:
        """One row per track, resolution, predictor and metric."""
        tables = []
        for (bundle, resolution, predictor, scale), pooled in self.pooled.items():
            for metric, statistic in _METRICS[scale].items():
                lower, upper = pooled.interval(statistic)
                columns = {"value": statistic(pooled.sums), "lower": lower, "upper": upper}
                table = self.test.tracks[bundle][["track", "strand"]].reset_index(drop=True)
                table = table.assign(**columns, n=pooled.sums[:, 0].astype(np.int64))
                tables.append(
                    table.assign(output_type=bundle, resolution=resolution, predictor=predictor, metric=metric)
                )
        if self.splicing:
            tables.append(self.splicing.table())
        return pd.concat(tables)

    def measures(self) -> pd.DataFrame:
        """One row per output type, resolution, metric and predictor: what benchmarks of tracks are read from."""
        rows = [*pooled_rows(self.pooled), *self.junction_shares.rows()]
        rows += splicing_rows(self.splicing) if self.splicing else []
        for family in self.families:
            rows += family.rows()
        return measure_table(rows)

    def profile_table(self) -> pd.DataFrame:
        """Correlation of each predictor's mean profile around gene starts with the observed one."""
        tables = [pd.DataFrame(columns=PROFILE_COLUMNS)]
        for bundle, predictor in self.starts.predictors():
            if predictor != "observed":
                table = self.test.tracks[bundle][["track", "strand"]].reset_index(drop=True)
                columns = {"value": self.starts.correlation(bundle, predictor), "genes": self.starts.genes(bundle)}
                tables.append(table.assign(**columns, output_type=bundle, predictor=predictor, metric="pearson"))
        return pd.concat([table for table in tables if len(table)] or tables)

    def _families(self, polya: pd.DataFrame) -> list[Family]:
        windows, resamples = self.test.windows, self.config.bootstrap
        families: list[Family] = [Coverage(len(windows), resamples), ContactMeasures(len(windows), resamples)]
        if self.genes:
            families.append(GeneMeasures(self.genes, polya, windows, self.test.tracks["RNA_SEQ"], resamples))
        return families

    def _observed(self, bundle: Bundle, example: Any, resolution: int) -> Observed:
        target = example.targets[bundle.head]
        factor = resolution * len(target) // self.train.window_length if bundle.kind == "signal" else 1
        return observed_values(bundle, target, example.masks[bundle.head], factor)

    def _baselines(self, bundle: Bundle, features: np.ndarray, codes: np.ndarray) -> dict[str, np.ndarray]:
        if bundle.kind == "signal":
            return dict(self.signal[bundle.name].predict(features))
        return dict(self.contacts[bundle.name].predict(codes))

    def _truth(self, bundle: Bundle, place: pd.Series) -> np.ndarray | None:
        if bundle.name not in self.truths:
            return None
        truth, span = self.truths[bundle.name], (place["chrom"], place["start"], place["end"])
        if bundle.kind == "contact_maps":
            return pair_rows(truth.contacts(*span))
        return (truth.read(*span) * self.truth_scale[bundle.name]).astype(np.float32)

    def _check_tracks(self, bundle: Bundle, by_resolution: Mapping[int, np.ndarray]) -> None:
        predicted, stored = by_resolution[bundle.resolutions[-1]].shape[-1], len(self.test.tracks[bundle.name])
        if predicted != stored:
            raise InputError(
                f"the model predicts {predicted} tracks of {bundle.name}, the store has {stored}",
                where=f"organism {self.name}",
                remedy="train the model again on this store",
            )

    def _window_totals(self) -> Float64[np.ndarray, "windows bundles"]:
        """Usable observed signal per window and signal bundle; and how many sites junctions are read between."""
        signal = [bundle for bundle in self.bundles if bundle.kind == "signal"]
        self.totals = np.zeros((len(self.test.windows), len(signal)))
        for i in range(len(self.totals)):
            example = self.test.read(i)
            if self.splicing:
                most = int(np.sum(site_positions(example) >= 0, axis=1).max())
                self.junction_sites = max(self.junction_sites, most)
            for column, bundle in enumerate(signal):
                data, usable = self._observed(bundle, example, bundle.resolutions[0])
                self.totals[i, column] = np.sum(data, where=usable, dtype=np.float64)
        return self.totals

    def _add(
        self, i: int, bundle: Bundle, resolution: int, observed: Observed, predicted: Mapping[str, np.ndarray]
    ) -> None:
        for scale in _SCALES[bundle.kind]:
            x = _on(scale, observed.data)
            for name, values in predicted.items():
                sums = moments(x, _on(scale, values), observed.usable & np.isfinite(values))
                self._pool(i, (bundle.name, resolution, name, scale), sums)
        if bundle.name == "RNA_SEQ" and resolution == 1 and self.genes:
            strands = self.test.tracks[bundle.name]["strand"].to_numpy()
            usable, x = self.genes.usable(i, observed.usable, strands), self.genes.levels(i, observed.data)
            for name, values in predicted.items():
                sums = moments(x, self.genes.levels(i, values), usable)
                self._pool(i, (bundle.name, resolution, name, "gene"), sums)

    def _pool(self, i: int, key: tuple[str, int, str, Scale], sums: np.ndarray) -> None:
        fresh = Pooled(len(self.test.windows), self.config.bootstrap)
        self.pooled.setdefault(key, fresh).add(i, sums)

    def _add_splicing(self, i: int, example: Any, predicted: Mapping[str, Mapping[int, np.ndarray]]) -> None:
        for name in (SITES, USAGE):
            self._check_tracks(BUNDLES[name], predicted[BUNDLES[name].head])
        # One number of sites for all windows: every other number would be compiled anew.
        sites = next(2**power for power in range(3, 31) if 2**power >= self.junction_sites)
        positions = np.full((4, sites), -1, np.int32)
        known = site_positions(example)[:, :sites]
        positions[:, : known.shape[1]] = known
        joined = self.predictor.junctions(
            example.sequence[None],
            self.name,
            positions[None],
            reverse_complement_average=self.config.reverse_complement,
        )
        values = {name: predicted[BUNDLES[name].head][1][0] for name in (SITES, USAGE)}
        values[JUNCTIONS] = joined[0]
        assert self.splicing is not None
        self.splicing.add(i, example, values, self.spliced, self.test.windows.iloc[i])
        pairs = candidate_pairs(site_positions(example))
        reads = pairs.of(example.targets[BUNDLES[JUNCTIONS].head])
        self.junction_shares.add(i, pairs, reads, {"model": pairs.of(values[JUNCTIONS])})

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


def _told(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The model, one simple control, and the truth: what a benchmark has rows of."""
    return {name: values[name] for name in ("model", "local_gc", "distance", "oracle") if name in values}


def _apart(windows: pd.DataFrame) -> list[int]:
    """Windows in order of position, each starting where the one before has ended, or later."""
    taken: list[int] = []
    chroms, starts, ends = (windows[column].tolist() for column in ("chrom", "start", "end"))
    for i in sorted(range(len(windows)), key=lambda i: (chroms[i], starts[i])):
        if not taken or chroms[i] != chroms[taken[-1]] or starts[i] >= ends[taken[-1]]:
            taken.append(i)
    return taken


def _spread(items: list[int], count: int) -> list[int]:
    """Up to `count` of the items, evenly."""
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, min(count, len(items)))]


def _on(scale: Scale, values: np.ndarray) -> np.ndarray:
    return np.log1p(np.maximum(values, 0)) if scale == "log1p" else values


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
