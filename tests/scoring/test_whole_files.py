"""Scoring of whole VCFs: stopped anywhere it goes on, windows are shared, memory does not grow with the file."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pysam
import pytest
from small_model import SIZES, WINDOW, sequence, write_model, write_reference
from test_variant_scores import VARIANTS, changed, other, row, write_vcf

import megabase.scoring
from megabase import cli
from megabase.commands.ism import ism
from megabase.commands.score import score
from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.scoring import parts
from megabase.scoring.comparison import Comparison
from megabase.scoring.config import ScoringConfig
from megabase.scoring.sequences import window_on_grid
from megabase.scoring.surroundings import batched
from megabase.scoring.variants import Extras, score_variants
from megabase.scoring.vcf import Skipped, Variant, alleles_of

SCORERS = ["ATAC", "CHIP_TF_ACTIVE", "RNA_SEQ"]
GRID = 512
MANY = [changed("chr1", place, 1, other("chr1", place), f"v{place}") for place in range(2500, 6500, 167)]
CHILD = """
import sys
from pathlib import Path
from megabase.scoring import parts
from megabase.scoring.config import ScoringConfig
from megabase.scoring.variants import Extras, score_variants
parts._EVERY = 0  # every batch is a part
folder, out = map(Path, sys.argv[1:])
config = ScoringConfig(batch=2, scorers=["ATAC", "CHIP_TF_ACTIVE", "RNA_SEQ"])
vcf, extras = folder / "many.vcf", Extras(window_grid=512)
score_variants(folder / "model", folder / "reference", vcf, out, config, "first", extras)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_reference(folder / "reference")
    write_model(folder / "model")
    write_vcf(folder / "many.vcf", [row(variant) for variant in MANY])
    return folder


def scored(made: Path, out: Path, extras: Extras = Extras(), vcf: str = "many.vcf") -> pd.DataFrame:  # noqa: B008
    config = ScoringConfig(batch=2, scorers=SCORERS)
    score_variants(made / "model", made / "reference", made / vcf, out, config, "first", extras)
    return pd.read_parquet(out)


@pytest.fixture(scope="module")
def whole(made: Path) -> pd.DataFrame:
    return scored(made, made / "whole.parquet", Extras(window_grid=GRID))


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])
def test_killed_at_random_moments_it_ends_the_same(made: Path, whole: pd.DataFrame, tmp_path: Path, kills: int) -> None:
    out, rng = tmp_path / "scores.parquet", np.random.default_rng(kills)
    command = [sys.executable, "-c", CHILD, str(made), str(out)]
    killed = 0
    while killed < kills and not out.exists():
        before = len(list(tmp_path.rglob("0*.parquet")))
        child = subprocess.Popen(command, stderr=subprocess.PIPE)
        # After some more parts, wherever in the next one; or at any moment of the start.
        enough = before + int(rng.integers(0, 2)) if killed else 1
        while child.poll() is None and len(list(tmp_path.rglob("0*.parquet"))) < enough:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        killed += 1
    (tmp_path / ".1.partial.scores.parquet").touch()  # A run that was killed at the very end leaves one like it.
    assert subprocess.run(command, check=False).returncode == 0
    pd.testing.assert_frame_equal(pd.read_parquet(out), whole, check_exact=True)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_a_stopped_run_keeps_its_parts_and_another_setting_has_its_own(
    made: Path, whole: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_EVERY", 0)
    out, read = tmp_path / "scores.parquet", Comparison.against
    calls = []

    def stops(self: Comparison, *arguments: object) -> object:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return read(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Comparison, "against", stops)
    with pytest.raises(KeyboardInterrupt):
        scored(made, out, Extras(window_grid=GRID))
    assert not out.exists() and len(list(tmp_path.rglob("0*.parquet"))) >= 3
    apart = scored(made, out, Extras(window_grid=2 * GRID))
    assert len(apart) == len(whole) and not apart.equals(whole)
    pd.testing.assert_frame_equal(scored(made, out, Extras(window_grid=GRID)), whole, check_exact=True)


def test_a_grid_shares_the_reference_pass(made: Path, whole: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = {window_on_grid(variant, WINDOW, GRID) for variant in MANY}
    read, against, calls, shapes = Comparison.reference, Comparison.against, [], set()

    def counted(self: Comparison, codes: np.ndarray) -> object:
        calls.append(1)
        return read(self, codes)

    def shaped(self: Comparison, *arrays: object) -> object:
        shapes.add(str(jax.tree.map(np.shape, arrays)))
        return against(self, *arrays)  # type: ignore[arg-type]

    monkeypatch.setattr(Comparison, "reference", counted)
    monkeypatch.setattr(Comparison, "against", shaped)
    again = scored(made, made / "again.parquet", Extras(window_grid=GRID))
    pd.testing.assert_frame_equal(again, whole, check_exact=True)
    assert len(calls) == len(windows) < len(MANY)
    assert len(shapes) == 2  # two programs, whatever the variants and the genes around them
    # One at a time, each REF with its ALT, in the same windows.
    from alphagenome.data import genome
    from alphagenome.models.variant_scorers import RECOMMENDED_VARIANT_SCORERS as SCORER

    model = megabase.scoring.load(made / "model", made / "reference", reverse_complement_average=True)
    for variant in MANY[::7]:
        interval = genome.Interval(*window_on_grid(variant, WINDOW, GRID))
        own = genome.Variant(variant.chrom, variant.position, variant.ref, variant.alt)
        alone = model.score_variant(interval, own, [SCORER["ATAC"]])[0]
        rows = whole[(whole["variant_id"] == variant.id) & (whole["scorer"] == "ATAC")]
        np.testing.assert_allclose(rows["raw_score"], alone.X[0], rtol=2e-3, atol=2e-5)
    with pytest.raises(InputError, match="a grid of 99999 bp"):
        scored(made, made / "no.parquet", Extras(window_grid=99_999))


def test_values_of_both_alleles_and_what_was_skipped(made: Path, tmp_path: Path) -> None:
    rows = [*(row(v) for v in VARIANTS[:3]), "chr1\t100\tx\tA\t<DEL>", "chr9\t100\ty\tA\tC", f"chr1\t5\tz\t{'N'}\tC"]
    write_vcf(tmp_path / "plain.vcf", rows)
    pysam.tabix_compress(str(tmp_path / "plain.vcf"), str(tmp_path / "packed.vcf.gz"))
    out = score(
        tmp_path / "packed.vcf.gz", made / "model", made / "reference", tmp_path / "s.parquet", "first", values=True
    )
    table = pd.read_parquet(out)
    skipped = pd.read_csv(tmp_path / "s.skipped.tsv", sep="\t")
    assert skipped["line"].tolist() == [6, 7, 8] and "no sequence" in skipped["reason"][0]
    record = json.loads(pq.read_schema(out).metadata[b"megabase"])
    assert sum(record["left_out"].values()) == 3 and record["variants"] == 3
    assert record["annotation_sha256"]["genes"] and record["assembly"] == "made1" and record["provenance"]["made"]
    ref, alt = table["ref_value"].astype(float), table["alt_value"].astype(float)
    scorer = table["scorer"].astype(str)
    for names, of in (
        (["ATAC", "DNASE"], lambda r, a: np.log2((1 + a) / (1 + r))),
        (["RNA_SEQ"], lambda r, a: np.log(a + 1e-3) - np.log(r + 1e-3)),
        (["RNA_SEQ_ACTIVE", "CAGE_ACTIVE"], np.maximum),
        (["SPLICE_SITE_USAGE_SIGNED"], lambda r, a: a - r),
        (["SPLICE_SITES", "SPLICE_SITE_USAGE"], lambda r, a: (a - r).abs()),
        (["SPLICE_JUNCTIONS"], lambda r, a: (np.log(a + 1e-7) - np.log(r + 1e-7)).abs()),
    ):
        kept = scorer.isin(names)
        assert kept.any()
        np.testing.assert_allclose(table["raw_score"][kept], of(ref[kept], alt[kept]), rtol=2e-3, atol=2e-5)
    assert ref[scorer == "CONTACT_MAPS"].notna().all() and ref[scorer == "POLYADENYLATION"].notna().all()


def test_nothing_is_left_where_nothing_can_be_scored(made: Path, tmp_path: Path) -> None:
    write_vcf(tmp_path / "x.vcf", ["chr9\t5\tc\tA\tC"])
    with pytest.raises(InputError, match="no variant can be scored"):
        score(tmp_path / "x.vcf", made / "model", made / "reference", tmp_path / "x.parquet", "first")
    with pytest.raises(InputError, match="no such VCF"):
        score(tmp_path / "y.vcf", made / "model", made / "reference", tmp_path / "x.parquet", "first")
    assert [path.name for path in tmp_path.iterdir()] == ["x.vcf"]


def test_runs_of_two_sizes() -> None:
    assert list(batched([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(batched("aaaaaaabcc", 4, lambda letter: letter)) == [
        list(x) for x in ("aaaa", "a", "a", "a", "b", "c", "c")
    ]


def large_vcf(path: Path, reference: Reference, lines: int) -> Path:
    text = {chrom: sequence(chrom) for chrom in SIZES}
    rng = np.random.default_rng(0)
    places = np.sort(rng.integers(1, SIZES["chr1"], lines))
    with open(path, "w") as file:
        for place in places.tolist():
            ref = text["chr1"][place - 1]
            file.write(f"chr1\t{place}\t.\t{ref}\t{'ACGT'['CGTA'.index(ref)]}\t.\tPASS\t.\n")
    return path


def test_a_vcf_streams_by(made: Path, tmp_path: Path) -> None:
    reference = Reference.open(made / "reference")
    peaks = []
    for lines in (2_000, 20_000):
        path = large_vcf(tmp_path / f"{lines}.vcf", reference, lines)
        tracemalloc.start()
        assert sum(isinstance(found, Variant) for found in alleles_of(path, reference, longest=50)) == lines
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 100_000


@pytest.mark.long
def test_a_million_lines_are_planned_in_a_minute(made: Path, tmp_path: Path) -> None:
    reference = Reference.open(made / "reference")
    path = large_vcf(tmp_path / "million.vcf", reference, 1_000_000)
    began = time.process_time()
    assert not any(isinstance(found, Skipped) for found in alleles_of(path, reference, longest=50))
    assert time.process_time() - began < 60


def test_mutagenesis_as_a_table(made: Path, tmp_path: Path) -> None:
    out = ism(
        made / "model", made / "reference", "chr1:4000-4004", tmp_path / "ism.parquet", "first", ["ATAC", "RNA_SEQ"]
    )
    table = pd.read_parquet(out)
    atac = table[table["scorer"] == "ATAC"]
    assert atac["position"].tolist() == [4001, 4002, 4003, 4004]
    assert "".join(atac["ref"]) == sequence("chr1")[4000:4004]
    for _, base in atac.iterrows():
        others = base[[letter for letter in "ACGT" if letter != base["ref"]]]
        assert np.isnan(base[base["ref"]]) and base["contribution"] == pytest.approx(-others.mean())
    assert set(table.loc[table["scorer"] == "RNA_SEQ", "gene_id"]) >= {"G1", "G3"}
    for region, words in (("chr1:1-5000", "more than half"), ("chr7:1-5", "no chromosome")):
        with pytest.raises(InputError, match=words):
            ism(made / "model", made / "reference", region, out, "first")


def test_batches_are_divided_over_devices(made: Path, whole: pd.DataFrame, tmp_path: Path) -> None:
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-c", CHILD, str(made), str(tmp_path / "two.parquet")]
    assert subprocess.run(command, env=os.environ | flags, check=False).returncode == 0
    again = pd.read_parquet(tmp_path / "two.parquet")
    assert again["variant_id"].tolist() == whole["variant_id"].tolist()
    np.testing.assert_allclose(again["raw_score"], whole["raw_score"], rtol=2e-3, atol=2e-5)


def test_the_command_line_hands_everything_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    given: list[tuple] = []
    monkeypatch.setattr("megabase.commands.score.score", lambda *arguments: given.append(arguments) or "made")
    cli.main(["score", "a.vcf", "--model", "m", "-o", "s.parquet"])
    words = "score a.vcf --model m --reference r --out s.parquet --organism human --scorers ATAC --scorers DNASE"
    more = "--batch 4 --window-grid 2048 --values --calibration q --single-strand"
    cli.main(f"{words} {more}".split())
    plain = (Path("a.vcf"), Path("m"), None, Path("s.parquet"), None, (), 1, True, 0, False, None)
    full = (Path("a.vcf"), Path("m"), Path("r"), Path("s.parquet"), "human", ("ATAC", "DNASE"), 4, False, 2048, True)
    assert given == [plain, (*full, Path("q"))] and capsys.readouterr().out == "made\nmade\n"
    assert list(inspect.signature(score).parameters)[-4:] == [
        "reverse_complement",
        "window_grid",
        "values",
        "calibration",
    ]
