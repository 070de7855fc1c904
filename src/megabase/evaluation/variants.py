"""Planted variants told from their controls by a model's scores.

A variant has one number per scorer: of all rows of the score table that concern it (`RULES`), the one of largest
magnitude. A row concerns a variant if its track is of the variant's biosample and, as the modality asks, of the
variant's ChIP target, and its gene is the variant's:

| modality        | scorers                                                      | rows matched by             |
|-----------------|--------------------------------------------------------------|-----------------------------|
| accessibility   | DNASE, ATAC, and both ACTIVE                                 | biosample                   |
| binding         | CHIP_TF, and ACTIVE                                          | biosample, target           |
| histone         | CHIP_HISTONE, and ACTIVE                                     | biosample, target           |
| expression      | RNA_SEQ, and ACTIVE                                          | biosample, gene             |
|                 | CAGE, PROCAP, and both ACTIVE                                | biosample                   |
| splicing        | SPLICE_SITES, SPLICE_COMPOSITE                               | gene                        |
|                 | SPLICE_SITE_USAGE, and SIGNED; SPLICE_JUNCTIONS              | biosample, gene             |
| polyadenylation | POLYADENYLATION                                              | biosample, gene             |
| contacts        | CONTACT_MAPS                                                 | biosample                   |

SPLICE_COMPOSITE is the paper's sum (section 7): largest SPLICE_SITES + largest SPLICE_SITE_USAGE + largest
SPLICE_JUNCTIONS / 5, over all biosamples. ACTIVE scorers say how active a place is with either allele: they are to tell
planted variants from quiet ones, as controls lie in places as active. A variant of a biosample without any track is
left out; one that has tracks but no score (its gene is not in the window) has the score 0, and is counted in
`n_imputed`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int

from megabase.artifacts import write_text
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.planted import CONTROL, PLANTED, QUIET, read_planted
from megabase.metrics.bootstrap import item_counts, percentiles
from megabase.metrics.ranking import roc_auc, sign_accuracy
from megabase.metrics.ranks import resampled_spearman

COMPOSITE = "SPLICE_COMPOSITE"
COLUMNS = ["model", "organism", "modality", "scorer", "against", "n_planted", "n_control", "n_imputed"]
COLUMNS += ["metric", "value", "lower", "upper", "command"]


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a scorer says about the variants of a modality."""

    modality: str
    scorer: str
    matched: tuple[str, ...]
    """Columns of the variant that the row's own must equal."""
    signed: bool = False
    """Whether its sign is a prediction."""
    against: str = CONTROL
    """Role of the variants that it is to tell planted ones from."""


_ROW = {"curie": "ontology_curie", "target": "target", "gene": "gene_id"}
_OF_ROW = {theirs: f"row_{name}" for name, theirs in _ROW.items()}


def _rules() -> Iterator[Rule]:
    centred = {
        "accessibility": (("DNASE", "ATAC"), ("curie",)),
        "binding": (("CHIP_TF",), ("curie", "target")),
        "histone": (("CHIP_HISTONE",), ("curie", "target")),
        "expression": (("RNA_SEQ", "CAGE", "PROCAP"), ("curie",)),
    }
    for modality, (scorers, matched) in centred.items():
        for scorer in scorers:
            own = (*matched, "gene") if scorer == "RNA_SEQ" else matched
            yield Rule(modality, scorer, own, signed=True)
            yield Rule(modality, f"{scorer}_ACTIVE", own, against=QUIET)
    yield Rule("splicing", "SPLICE_SITES", ("gene",))
    yield Rule("splicing", "SPLICE_SITE_USAGE", ("curie", "gene"))
    yield Rule("splicing", "SPLICE_SITE_USAGE_SIGNED", ("curie", "gene"), signed=True)
    yield Rule("splicing", "SPLICE_JUNCTIONS", ("curie", "gene"))
    yield Rule("splicing", COMPOSITE, ("gene",))
    yield Rule("polyadenylation", "POLYADENYLATION", ("curie", "gene"))
    yield Rule("contacts", "CONTACT_MAPS", ("curie",))


RULES = tuple(_rules())


def evaluate_variants(
    scores: Path,
    vcf: Path,
    out: Path,
    config: EvaluationConfig,
    model: str = "",
    organism: str = "",
    command: str = "",
) -> None:
    """Writes `COLUMNS`: per modality, scorer and metric one value with a 95 % interval.

    Metrics: `auroc` of |score|, planted against controls (or quiet ones, `against`); on planted ones `spearman` of
    score and true effect (of their magnitudes for a scorer without signs) and, for scorers with signs, `sign_accuracy`.
    The intervals resample planted variants and controls each among themselves. `scores`: what
    `megabase.scoring.variants.score_variants` wrote.
    """
    table = variant_scores(scores, vcf)
    rows = []
    for (modality, scorer), own in table.groupby(["modality", "scorer"], sort=False):
        planted = own["planted"].to_numpy(bool)
        counts = {"against": own["against"].iloc[0]}
        counts |= {"n_planted": int(planted.sum()), "n_control": int((~planted).sum())}
        counts["n_imputed"] = int(own["imputed"].sum())
        weights = item_counts(planted, config.variant_bootstrap)
        for metric, statistic in metrics_of(own).items():
            values = statistic(own["score"].to_numpy(), weights)
            lower, upper = percentiles(values[1:, None])
            found = {"metric": metric, "value": values[0], "lower": lower[0], "upper": upper[0]}
            rows.append({"modality": modality, "scorer": scorer, **counts, **found})
    made = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in ("model", "organism", "command")])
    made = made.assign(model=model, organism=organism, command=command)[COLUMNS]
    write_text(out, made.to_csv(sep="\t", index=False, float_format="%.6g"))


def variant_scores(scores: Path, vcf: Path) -> pd.DataFrame:
    """One row per variant and scorer of its modality: variant_id, planted, modality, effect, scorer, signed, against,
    score, imputed. Scorers that the model has no track for are not there."""
    variants, table = read_planted(vcf), pd.read_parquet(scores)
    # Words are stored as categories, and what a row lacks as null.
    table = table.assign(**{name: table[name].astype(object).fillna("") for name in _ROW.values()})
    table = table[np.isfinite(table["raw_score"])]
    by_scorer: dict[Any, pd.DataFrame] = dict(iter(table.groupby(table["scorer"].astype(str))))
    by_scorer[COMPOSITE] = _composite(by_scorer)
    tables = []
    for rule in RULES:
        concerned = (variants["modality"] == rule.modality) & variants["role"].isin((PLANTED, rule.against))
        own, rows = variants[concerned], by_scorer.get(rule.scorer)
        if rows is None or rows.empty or own.empty:
            continue
        if "curie" in rule.matched:
            own = own[own["curie"].isin(rows["ontology_curie"])]
        scored = rows[["variant_id", "raw_score", *_ROW.values()]].rename(columns=_OF_ROW)
        found = own.merge(scored, on="variant_id")
        matching = np.logical_and.reduce(
            [(found[name] == "") | (found[name] == found[f"row_{name}"]) for name in rule.matched]
        )
        strongest = found[matching].assign(magnitude=found["raw_score"].abs())
        strongest = strongest.sort_values("magnitude", kind="stable").groupby("variant_id")["raw_score"].last()
        score = own["variant_id"].map(strongest)
        made = own[["variant_id", "modality", "effect"]].assign(planted=own["role"] == PLANTED, scorer=rule.scorer)
        made = made.assign(signed=rule.signed, against=rule.against, score=score.fillna(0.0), imputed=score.isna())
        tables.append(made)
    columns = ["variant_id", "modality", "effect", "planted", "scorer", "signed", "against", "score", "imputed"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


Metric = Callable[[Float[np.ndarray, " n"], Int[np.ndarray, "resamples n"]], Float64[np.ndarray, " resamples"]]


def metrics_of(own: pd.DataFrame) -> dict[str, Metric]:
    """The metrics of one modality and scorer (rows of `variant_scores`), as functions of scores and weights."""
    planted: Bool[np.ndarray, " n"] = own["planted"].to_numpy(bool)
    effect, signed = own["effect"].to_numpy(float)[planted], bool(own["signed"].iloc[0])

    def auroc(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return roc_auc(planted, np.abs(scores), weights)

    def correlation(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        mine = scores[planted]
        return resampled_spearman(*((effect, mine) if signed else (abs(effect), abs(mine))), weights[:, planted])

    def signs(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return sign_accuracy(effect, scores[planted], weights[:, planted])

    return {"auroc": auroc, **({"sign_accuracy": signs} if signed else {}), "spearman": correlation}


def _composite(by_scorer: dict[Any, pd.DataFrame]) -> pd.DataFrame:
    """The composite per variant and gene; empty without all three parts."""
    parts = [by_scorer.get(name) for name in ("SPLICE_SITES", "SPLICE_SITE_USAGE", "SPLICE_JUNCTIONS")]
    if any(part is None for part in parts):
        return pd.DataFrame()
    largest = [
        part.assign(raw_score=part["raw_score"].abs()).groupby(["variant_id", "gene_id"])["raw_score"].max()
        for part in parts
        if part is not None
    ]
    summed = pd.concat([largest[0], largest[1], largest[2] / 5], axis=1).fillna(0.0).sum(axis=1)
    return summed.rename("raw_score").reset_index().assign(ontology_curie="", target="")
