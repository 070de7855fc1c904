"""A student against its teachers on the same variants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from megabase.artifacts import write_text
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.variants import metrics_of, variant_scores
from megabase.metrics.bootstrap import item_counts, percentiles

COLUMNS = ["student", "organism", "modality", "scorer", "metric", "against", "n", "student_value", "teacher_value"]
COLUMNS += ["difference", "lower", "upper", "command"]


def compare_student(
    student: Path,
    teachers: Sequence[Path],
    vcf: Path,
    out: Path,
    config: EvaluationConfig,
    model: str = "",
    organism: str = "",
    command: str = "",
) -> None:
    """Writes `COLUMNS`: per modality, scorer and metric, how far the student is ahead of its teachers.

    `against` is `mean`, the mean of the teachers' own values, or `ensemble`, the value of their mean score. The 95 %
    interval of `difference` is that of a paired bootstrap: student and teachers are compared on the same resampled
    variants. `student` and `teachers`: tables of scores; only variants and scorers that all of them have count.
    """
    tables = [variant_scores(path, vcf) for path in (student, *teachers)]
    joined = tables[0].drop(columns=["score", "imputed"])
    for number, table in enumerate(tables):
        own = table[["variant_id", "scorer", "score"]].rename(columns={"score": f"score_{number}"})
        joined = joined.merge(own, on=["variant_id", "scorer"])
    rows = []
    for (modality, scorer), own in joined.groupby(["modality", "scorer"], sort=False):
        scores = own[[f"score_{number}" for number in range(len(tables))]].to_numpy(float).T
        weights = item_counts(own["planted"].to_numpy(bool), config.variant_bootstrap)
        for metric, statistic in metrics_of(own).items():
            mine, *theirs = (statistic(values, weights) for values in scores)
            for against, other in (
                ("mean", np.mean(theirs, axis=0)),
                ("ensemble", statistic(scores[1:].mean(axis=0), weights)),
            ):
                lower, upper = percentiles((mine - other)[1:, None])
                values = {"student_value": mine[0], "teacher_value": other[0], "difference": mine[0] - other[0]}
                where = {"modality": modality, "scorer": scorer, "metric": metric, "against": against, "n": len(own)}
                rows.append({**where, **values, "lower": lower[0], "upper": upper[0]})
    made = pd.DataFrame(
        rows, columns=[column for column in COLUMNS if column not in ("student", "organism", "command")]
    )
    made = made.assign(student=model, organism=organism, command=command)[COLUMNS]
    write_text(out, made.to_csv(sep="\t", index=False, float_format="%.6g"))
