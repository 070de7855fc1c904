"""A student against its teachers on the same variants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from megabase.artifacts import write_text
from megabase.evaluation.config import EvaluationConfig
from megabase.evaluation.variants import metrics_of, variant_scores
from megabase.metrics.bootstrap import item_counts, percentiles

COLUMNS = ["student", "students", "organism", "modality", "scorer", "metric", "against", "n"]
COLUMNS += ["student_value", "teacher_value", "difference", "lower", "upper", "least", "most", "command"]


def compare_student(
    students: Sequence[Path],
    teachers: Sequence[Path],
    vcf: Path,
    out: Path,
    config: EvaluationConfig,
    model: str = "",
    organism: str = "",
    command: str = "",
) -> None:
    """Writes `COLUMNS`: per modality, scorer and metric, how far a student is ahead of its teachers, or several that
    differ in their seeds are as a mean; `least` and `most` are those of single students.

    `against` is `mean`, the mean of the teachers' own values, or `ensemble`, the value of their mean score. The 95 %
    interval of `difference` is that of a paired bootstrap: students and teachers are compared on the same resampled
    variants. `students` and `teachers`: tables of scores; only variants and scorers that all of them have count.
    """
    tables = [variant_scores(path, vcf) for path in (*students, *teachers)]
    joined = tables[0].drop(columns=["score", "imputed"])
    for number, table in enumerate(tables):
        own = table[["variant_id", "scorer", "score"]].rename(columns={"score": f"score_{number}"})
        joined = joined.merge(own, on=["variant_id", "scorer"])
    rows = []
    for (modality, scorer), own in joined.groupby(["modality", "scorer"], sort=False):
        scores = own[[f"score_{number}" for number in range(len(tables))]].to_numpy(float).T
        weights = item_counts(own["planted"].to_numpy(bool), config.variant_bootstrap)
        for metric, statistic in metrics_of(own).items():
            every = np.array([statistic(values, weights) for values in scores])
            each, theirs = every[: len(students)], every[len(students) :]
            mine = each.mean(axis=0)
            for against, other in (
                ("mean", theirs.mean(axis=0)),
                ("ensemble", statistic(scores[len(students) :].mean(axis=0), weights)),
            ):
                lower, upper = percentiles((mine - other)[1:, None])
                values = {"student_value": mine[0], "teacher_value": other[0], "difference": mine[0] - other[0]}
                values |= {"least": each[:, 0].min() - other[0], "most": each[:, 0].max() - other[0]}
                where = {"modality": modality, "scorer": scorer, "metric": metric, "against": against, "n": len(own)}
                rows.append({**where, **values, "lower": lower[0], "upper": upper[0]})
    same: dict[str, Any] = {"student": model, "students": len(students), "organism": organism, "command": command}
    made = pd.DataFrame(rows, columns=[column for column in COLUMNS if column not in same]).assign(**same)[COLUMNS]
    write_text(out, made.to_csv(sep="\t", index=False, float_format="%.6g"))
