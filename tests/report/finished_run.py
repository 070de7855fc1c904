"""The files of a small finished run, made up, in the formats that the stages write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LENGTH = 16_384
NASTY = "<script>alert('1')</script> & $x_1$"
TRACKS = [
    ("DNASE", "open liver", "."),
    ("DNASE", NASTY, "."),
    ("CAGE", "caps", "+"),
    ("CAGE", "caps", "-"),
    ("CHIP_TF", "CTCF", "."),
    ("CONTACT_MAPS", "loops", "."),
]


class Genome:
    """Stands in for `Reference`."""

    @classmethod
    def open(cls, _: Path) -> Genome:
        return cls()

    def genes(self) -> pd.DataFrame:
        rows = [("chr2", 2000, 7000, "+", "g1", "alpha"), ("chr2", 9000, 12000, "-", "g2", "cost$")]
        return pd.DataFrame(rows, columns=["chrom", "start", "end", "strand", "gene_id", "gene_name"])

    def exons(self) -> pd.DataFrame:
        rows = [("g1", "t1", 2000, 2600), ("g1", "t1", 5000, 7000), ("g1", "t2", 2000, 2100)]
        frame = pd.DataFrame(rows, columns=["gene_id", "transcript_id", "start", "end"])
        return frame.assign(chrom="chr2", strand="+")


def write_run(folder: Path) -> dict[str, Any]:
    """Writes the files and gives the arguments of `write_report` for them."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    files = [
        {"bundle": b, "track": t, "strand": s, "file": f"{b}/{i}.bigWig", "format": "bigWig", "reading": "coverage"}
        | {"bytes": 123_456 * (i + 1), "sha256": f"{i:064x}"}
        for i, (b, t, s) in enumerate(TRACKS)
    ]
    pd.DataFrame(files).to_csv(folder / "demo.files.tsv", sep="\t", index=False)
    pd.DataFrame(files)[["bundle", "track", "strand"]].to_csv(folder / "demo.tracks.tsv", sep="\t", index=False)
    return {
        "title": "demo",
        "config": {
            "dataset": "demo",
            "run": "demo",
            "world": {"seed": 1},
            "report": {"loci": 2, "tracks_per_locus": 5},
        },
        "manifests": {"demo": (folder / "demo.files.tsv", folder / "demo.tracks.tsv")},
        "records": _records(folder),
        "leakage": [_leakage(folder)],
        "metrics": {"fold_0": _losses(folder, draw)},
        "evaluations": {"fold_0": _evaluation(folder / "evaluation", draw)},
        "summary": _summary(folder),
        "models": {"fold_0": _model(folder / "models")},
        "references": {"demo": folder},
        "benchmarks": [_benchmarks(folder / "benchmarks"), folder / "absent"],
        "out": folder / "report" / "index.html",
    }


def _records(folder: Path) -> list[Path]:
    paths = []
    for bundle in dict.fromkeys(bundle for bundle, _, _ in TRACKS):
        tracks = [
            {"track_id": f"t{i}", "track": t, "strand": s, "total": 1e8 / 3, "nonzero_mean": 1.25 + i, "covered": None}
            for i, (b, t, s) in enumerate(TRACKS)
            if b == bundle
        ]
        tracks[0]["covered"] = [["chr1", 0, 750000], ["chr2", 0, 500000]]
        path = folder / "store" / "demo" / f"{bundle}.0000.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"bundle": bundle, "block": 0, "tracks": tracks}))
        paths.append(path)
    return paths


def _leakage(folder: Path) -> Path:
    path = folder / "shards" / "demo" / "fold_0" / "leakage.json"
    path.parent.mkdir(parents=True)
    counts = {"windows": {"train": 180, "valid": 6, "test": 24}, "overlaps": 0, "split_hash": "0123abcd"}
    path.write_text(json.dumps(counts))
    return path


def _losses(folder: Path, draw: np.random.Generator) -> Path:
    lines = []
    for step in range(50, 951, 50):
        fall = 2 * np.exp(-step / 300)
        lines.append({"step": step, "loss": 3 + fall + draw.normal() / 20, "losses": {"dnase": 1 + fall, "cage": 2.0}})
        if step % 200 == 150:
            lines.append({"step": step, "valid": {"loss": 3.1 + fall}})
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _evaluation(folder: Path, draw: np.random.Generator) -> Path:
    folder.mkdir()
    rows, profile_rows, profiles, loci = [], [], {"demo/offsets": np.arange(-1024, 1024, 16)}, {}
    offsets = profiles["demo/offsets"]
    tracks: dict[str, list[dict[str, str]]] = {}
    for bundle, track, strand in TRACKS:
        tracks.setdefault(bundle, []).append({"track": track, "strand": strand})
        named = {"model": "fold_0", "organism": "demo", "output_type": bundle, "track": track, "strand": strand}
        for predictor, value in {"model": 0.7312, "ridge": 0.31, "oracle": 0.85}.items():
            rows.append(
                named
                | {"resolution": 128, "split": "test", "predictor": predictor, "metric": "pearson", "value": value}
                | {"lower": value - 0.02, "upper": value + 0.02, "n": 390_000, "command": "snakemake tracks.tsv"}
            )
            if predictor != "oracle" and bundle != "CONTACT_MAPS":
                profile_rows.append(named | {"predictor": predictor, "metric": "pearson", "value": value, "genes": 40})
    for bundle, of_bundle in tracks.items():
        n = len(of_bundle)
        if bundle == "CONTACT_MAPS":
            for rank in range(2):
                for kind in ("observed", "predicted"):
                    loci[f"demo/{rank}/{bundle}/{kind}"] = draw.normal(size=(8, 8, n)).astype(np.float32)
                loci[f"demo/{rank}/{bundle}/bin"] = np.array(2048)
            continue
        for name, sharpness in (("observed", 60), ("model", 90), ("ridge", 900), ("oracle", 55)):
            profiles[f"demo/{bundle}/{name}"] = np.exp(-((offsets[:, None] / sharpness) ** 2)) + 0.1 * draw.random(
                (128, n)
            )
        bin_size = 128 if bundle == "CHIP_TF" else 16
        for rank in range(2):
            level = draw.gamma(0.2, 1, (LENGTH // bin_size, n))
            loci[f"demo/{rank}/{bundle}/observed"] = level.astype(np.float32)
            smooth = np.stack([np.convolve(column, np.ones(9) / 9, "same") for column in level.T], axis=1)
            loci[f"demo/{rank}/{bundle}/predicted"] = smooth.astype(np.float32)
            loci[f"demo/{rank}/{bundle}/bin"] = np.array(bin_size)
    places = [{"chrom": "chr2", "start": start, "end": start + LENGTH} for start in (0, 2 * LENGTH)]
    loci |= {"demo/loci": np.array(json.dumps(places)), "demo/tracks": np.array(json.dumps(tracks))}
    np.savez(folder / "loci.npz", **loci)
    np.savez(folder / "profiles.npz", **profiles)
    pd.DataFrame(rows).to_csv(folder / "tracks.tsv", sep="\t", index=False)
    pd.DataFrame(profile_rows).to_csv(folder / "profiles.tsv", sep="\t", index=False)
    return folder


def _summary(folder: Path) -> Path:
    columns = (
        "model organism output_type split resolution metric value n track_mean local_gc ridge distance gt_ag oracle "
        "ratio_to_oracle command"
    )
    made = ["", "snakemake results/demo/evaluation/fold_0/tracks.tsv"]
    rows = [
        ["fold_0", "demo", "DNASE", "test", 1, "pearson", 0.412345, 2, 0, 0.1, 0.2, "", "", 0.45, *made],
        ["fold_0", "demo", "DNASE", "test", 128, "pearson", 0.812345, 2, 0, 0.3, 0.4567, "", "", 0.9, *made],
        ["fold_0", "demo", "CAGE", "test", 128, "pearson", 0.11, 2, 0, 0.1, 0.2222, "", "", 0.5, *made],
        ["fold_0", "demo", "CONTACT_MAPS", "test", 2048, "pearson", 0.35, 1, 0, 0.1, "", 0.3, "", "", *made],
        ["fold_1", "demo", "DNASE", "test", 128, "pearson", 0.612345, 2, 0, 0.2, 0.4, "", "", 0.8, *made],
        ["fold_0", "demo", "DNASE", "test", 128, "mse", 1234567.0, 2, 3e6, 2.5e6, 1.2e6, "", "", 9e5, *made],
        ["fold_0", "demo", "DNASE", "test", 128, "log1p_pearson", 0.7, 2, 0, 0.3, 0.4, "", "", 0.8, *made],
        ["fold_0", "demo", "ALL", "test", LENGTH, "held_out_share", 1.0, 1, "", "", "", "", "", "", *made],
    ]
    path = folder / "summary.tsv"
    pd.DataFrame(rows, columns=columns.split()).to_csv(path, sep="\t", index=False)
    return path


def add_worlds_parts(run: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The arguments of a run that also has splicing, planted variants, and a student with teachers."""
    summary = pd.read_csv(run["summary"], sep="\t")
    spliced = [
        ("SPLICE_SITES", "auprc", 0.9),
        ("SPLICE_SITE_USAGE", "pearson", 0.6),
        ("SPLICE_JUNCTIONS", "auprc", 0.7),
    ]
    rows = [
        {
            "model": "fold_0",
            "organism": "demo",
            "output_type": bundle,
            "split": "test",
            "resolution": 1,
            "metric": metric,
        }
        | {"value": value, "n": 4, "track_mean": 0.001, "local_gc": 0.002, "gt_ag": 0.01, "command": "again"}
        for bundle, metric, value in spliced
    ]
    pd.concat([summary, pd.DataFrame(rows)]).to_csv(folder / "summary2.tsv", sep="\t", index=False)
    tables = []
    for model, level in (("teacher_0", 0.8), ("student", 0.9)):
        rows = [
            {"model": model, "organism": "demo", "modality": "accessibility", "scorer": scorer, "metric": metric}
            | {
                "against": "quiet" if scorer.endswith("ACTIVE") else "control",
                "n_planted": 20,
                "n_control": 21,
                "n_imputed": 0,
                "value": level,
                "lower": level - 0.1,
                "upper": level + 0.1,
            }
            for scorer, metric in (("DNASE", "auroc"), ("DNASE", "sign_accuracy"), ("DNASE_ACTIVE", "auroc"))
        ]
        tables.append(folder / f"{model}.variants.tsv")
        pd.DataFrame(rows).to_csv(tables[-1], sep="\t", index=False)
    rows = [
        {
            "student": "student",
            "students": 3,
            "organism": "demo",
            "modality": "accessibility",
            "scorer": scorer,
            "metric": "auroc",
        }
        | {"against": against, "n": 41, "student_value": 0.9, "teacher_value": 0.8, "difference": 0.1}
        | {"lower": lower, "upper": 0.2, "least": 0.07, "most": 0.12, "command": "again"}
        for scorer, against, lower in (("DNASE", "mean", 0.05), ("ATAC", "mean", -0.05), ("DNASE", "ensemble", -0.1))
    ]
    compared = folder / "student.distillation.tsv"
    pd.DataFrame(rows).to_csv(compared, sep="\t", index=False)
    made = {**run, "summary": folder / "summary2.tsv", "variants": tables, "distillation": [compared]}
    return {**made, "ablations": [write_ablations(folder)]}


def write_ablations(folder: Path) -> Path:
    """A table of models against the one that they are like."""
    rows = [
        {"model": model, "base": "fold_0", "organism": "demo", "output_type": output_type, "resolution": resolution}
        | {"metric": metric, "tracks": tracks, "value": 0.5, "base_value": 0.5 - difference, "difference": difference}
        | {"lower": difference - 0.02 if tracks > 1 else "", "upper": difference + 0.02 if tracks > 1 else ""}
        | {"command": "again"}
        for model, output_type, resolution, metric, tracks, difference in (
            ("fold_0_8bp", "DNASE", 1, "pearson", 3, -0.2),
            ("fold_0_8bp", "DNASE", 128, "pearson", 3, 0.01),
            ("fold_0_8bp", "DNASE", 1, "log1p_pearson", 3, 0.1),
            ("fold_0_8bp", "SPLICE_SITES", 1, "auprc", 4, -0.1),
            ("fold_0_half", "CONTACT_MAPS", 2048, "pearson", 1, -0.3),
        )
    ]
    table = folder / "compared.tsv"
    pd.DataFrame(rows).to_csv(table, sep="\t", index=False)
    return table


def add_comparison(folder: Path) -> list[Path]:
    """A table of the paper's evaluations: two of a demo, and one that nothing is known of."""
    from megabase.evaluation.benchmarks.results import RESULT_COLUMNS

    known = {"kind": "track", "status": "established", "data": "demo", "model": "fold_1", "organism": "demo", "n": 4}
    first = known | {"benchmark": "cage", "number": "T6", "title": "CAGE", "metric": "pearson", "command": "again"}
    first |= {"published": 0.74, "baseline": "Borzoi", "baseline_value": 0.71, "published_relative": 4.225}
    second = known | {
        "benchmark": "dnase_jsd",
        "number": "T9",
        "title": NASTY,
        "metric": "profile_jsd",
        "note": "peaks",
    }
    last = {"benchmark": "x", "kind": "track", "number": "T24", "title": "Not known", "status": "unknown"}
    rows = [
        first
        | {"predictor": "model", "value": 0.61, "lower": 0.5, "upper": 0.7, "against": "local_gc", "relative": 205},
        first | {"predictor": "local_gc", "value": 0.2},
        first | {"predictor": "oracle", "value": 0.9},
        second | {"predictor": "model", "value": 0.5, "against": "gc", "relative": -25},
        second | {"predictor": "gc", "value": 0.4},
        last | {"note": "missing: everything"},
    ]
    path = folder / "table_tracks.tsv"
    pd.DataFrame(rows, columns=RESULT_COLUMNS).to_csv(path, sep="\t", index=False)
    return [path]


def _model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps({"split_hashes": {"demo": "0123abcd"}, "model": {"channels": 16}}))
    return folder


def _benchmarks(folder: Path) -> Path:
    folder.mkdir()
    for name, seconds in (
        ("fold_0.train_model", 254.2),
        ("demo.CAGE.0000.build_signal", 3.4),
        ("demo.X.build_signal", 5),
    ):
        (folder / f"{name}.tsv").write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t812.5\n")
    return folder
