"""The public interface on a model of ours, and the public package's helpers on what it gives."""

from __future__ import annotations

# `values` are those of TrackData here, not of pandas.
# ruff: noqa: PD011
import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from alphagenome.data import genome, ontology, track_data
from alphagenome.data.junction_data import JunctionData, get_junctions_to_plot
from alphagenome.interpretation import ism
from alphagenome.models import dna_client, dna_model, interval_scorers, variant_scorers, variant_scoring_utils
from alphagenome.models.dna_output import OutputType
from alphagenome.visualization import plot_components
from small_model import WINDOW, sequence, write_model, write_reference
from test_variant_scores import VARIANTS, changed, other, row, write_vcf

import megabase.scoring
from megabase.commands.import_official import _tables as released_rows
from megabase.errors import InputError
from megabase.genome.sequence import encode, reverse_complement
from megabase.scoring.config import SCORERS, ScoringConfig
from megabase.scoring.dna_model import DnaModel
from megabase.scoring.interface import output_metadata
from megabase.scoring.predict import Predictor
from megabase.scoring.sequences import window
from megabase.scoring.variants import score_variants
from megabase.scoring.vcf import Variant

ALL = list(OutputType)
HUMAN, MOUSE = dna_model.Organism
MIDDLE = genome.Interval("chr1", 2000, 2000 + WINDOW)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("use")
    write_reference(made / "data" / "made" / "reference" / "first")
    write_model(made / "results" / "made" / "models" / "student")
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> DnaModel:
    return megabase.scoring.load(folder / "results" / "made" / "models" / "student")


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor.load(folder / "results" / "made" / "models" / "student")


def public(variant: Variant) -> genome.Variant:
    return genome.Variant(variant.chrom, variant.position, variant.ref, variant.alt)


def around(variant: Variant, strand: str = ".") -> genome.Interval:
    return genome.Interval(*window(variant, WINDOW), strand)


def test_every_keyword_of_the_hosted_client_is_there() -> None:
    for name, method in inspect.getmembers(dna_client.DnaClient, inspect.isfunction):
        if not name.startswith("_"):
            ours = inspect.signature(getattr(DnaModel, name)).parameters
            for parameter in inspect.signature(method).parameters.values():
                assert ours[parameter.name].default == parameter.default, (name, parameter.name)
    assert issubclass(DnaModel, dna_model.DnaModel)


def test_predictions_are_those_of_the_model(model: DnaModel, predictor: Predictor) -> None:
    output = model.predict_interval(MIDDLE, requested_outputs=ALL, ontology_terms=None)
    codes = encode(sequence("chr1")[MIDDLE.start : MIDDLE.end])[None]
    own = predictor.predict(codes, "first", reverse_complement_average=False)
    for kind, head in ((OutputType.RNA_SEQ, "rna_seq"), (OutputType.CHIP_TF, "chip_tf"), (OutputType.DNASE, "dnase")):
        made = output.get(kind)
        assert isinstance(made, track_data.TrackData) and made.interval == MIDDLE
        np.testing.assert_allclose(made.values, own[head][made.resolution][0], rtol=1e-4, atol=1e-6)
    assert output.contact_maps.values.shape == (2, 2, 2) and output.contact_maps.resolution == 2048
    assert output.splice_sites.num_tracks == 4 and output.splice_site_usage.num_tracks == 4
    junctions = output.splice_junctions
    assert isinstance(junctions, JunctionData) and len(junctions) and set(junctions.possible_strands) <= {"+", "-"}
    assert all(MIDDLE.start < j.start < j.end <= MIDDLE.end for j in junctions.junctions)
    assert get_junctions_to_plot(predictions=junctions, name="a", strand="+") is not None
    again = model.predict_sequence(
        sequence("chr1")[MIDDLE.start : MIDDLE.end], requested_outputs=[OutputType.RNA_SEQ], ontology_terms=None
    )
    np.testing.assert_allclose(again.rna_seq.values, output.rna_seq.values, rtol=1e-4, atol=1e-6)
    assert again.rna_seq.interval is None and again.atac is None


def test_the_other_strand_is_the_other_half_of_the_average(model: DnaModel, folder: Path) -> None:
    both = megabase.scoring.load(
        folder / "results" / "made" / "models" / "student",
        folder / "data" / "made" / "reference" / "first",
        reverse_complement_average=True,
    )
    asked = {"requested_outputs": [OutputType.DNASE, OutputType.CAGE, OutputType.SPLICE_SITES], "ontology_terms": None}
    plus, minus = (genome.Interval(MIDDLE.chromosome, MIDDLE.start, MIDDLE.end, strand) for strand in "+-")
    one, other = (model.predict_interval(interval, **asked) for interval in (plus, minus))
    mean = both.predict_interval(plus, **asked)
    text = sequence("chr1")[MIDDLE.start : MIDDLE.end]
    turned = "".join("ACGT"[code] for code in reverse_complement(encode(text)))
    same = model.predict_sequence(turned, interval=minus, **asked)
    for kind in asked["requested_outputs"]:
        expected = (one.get(kind).values + other.get(kind).values) / 2
        np.testing.assert_allclose(mean.get(kind).values, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(same.get(kind).values, other.get(kind).values, rtol=1e-4, atol=1e-6)
    assert not np.allclose(one.dnase.values, other.dnase.values, rtol=1e-3)


def test_public_helpers_run_on_predictions(model: DnaModel) -> None:
    output = model.predict_interval(MIDDLE, requested_outputs=ALL, ontology_terms=None)
    rna = output.rna_seq
    assert rna.filter_to_positive_strand().num_tracks == 2 and rna.filter_to_unstranded().num_tracks == 1
    assert rna.select_tracks_by_name(["a"]).num_tracks == 2
    assert rna.resize(1024).width == 1024 and rna.change_resolution(128).values.shape == (WINDOW // 128, 5)
    assert rna.slice_by_interval(genome.Interval("chr1", 3000, 3128)).values.shape == (128, 5)
    assert set(rna.groupby("biosample_name")) == {"a", "b", "c"}
    output.cage.reverse_complement  # noqa: B018
    assert output.filter_to_strand("+").cage.num_tracks == 2
    plot = plot_components.plot(
        [
            plot_components.Tracks(output.dnase),
            plot_components.OverlaidTracks({"a": output.atac, "b": output.atac}),
            plot_components.ContactMaps(output.contact_maps),
            plot_components.Sashimi(output.splice_junctions.filter_by_name("a")),
        ],
        interval=MIDDLE,
    )
    assert len(plot.axes) >= 4
    metadata = model.output_metadata()
    assert (
        metadata.rna_seq["strand"].tolist() == list("+-+-.") and metadata.concatenate()["output_type"].nunique() == 11
    )
    assert model.output_metadata(MOUSE).atac is None


def test_tracks_are_chosen_by_ontology(folder: Path, model: DnaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = model._engine.tables("first")
    monkeypatch.setitem(tables, "DNASE", tables["DNASE"].assign(ontology_curie=["CL:0000084", "UBERON:0001114"]))
    for term in ("CL:0000084", ontology.from_curie("CL:0000084")):
        output = model.predict_interval(
            MIDDLE, requested_outputs=[OutputType.DNASE, OutputType.SPLICE_SITES], ontology_terms=[term]
        )
        assert output.dnase.names.tolist() == ["a"]
    assert output.dnase.ontology_terms == [ontology.from_curie("CL:0000084")]


def test_scores_are_those_of_the_table(model: DnaModel, folder: Path, tmp_path: Path) -> None:
    """Default scorers, all variants, against the Parquet of the command; both strands off."""
    write_vcf(tmp_path / "variants.vcf", [row(variant) for variant in VARIANTS])
    config = ScoringConfig(reverse_complement=False, scorers=list(SCORERS))
    reference, weights = folder / "data/made/reference/first", folder / "results/made/models/student"
    score_variants(weights, reference, tmp_path / "variants.vcf", tmp_path / "scores.parquet", config, "first")
    table = pd.read_parquet(tmp_path / "scores.parquet")
    recommended = variant_scorers.get_recommended_scorers(HUMAN.to_proto())
    names = {str(scorer): name for name, scorer in variant_scorers.RECOMMENDED_VARIANT_SCORERS.items()}
    made = model.score_variants(
        [around(v) for v in VARIANTS],
        [public(v) for v in VARIANTS],
        merge_stranded_gene_tracks=False,
        progress_bar=False,
    )
    assert [[a.uns["variant_scorer"] for a in own] for own in made] == [recommended] * len(VARIANTS)
    for variant, own in zip(VARIANTS, made, strict=True):
        tidy = variant_scorers.tidy_scores([own])
        assert set(tidy["variant_id"].map(str)) == {str(public(variant))}
        for scorer in recommended:
            ours = table[(table["variant_id"] == variant.id) & (table["scorer"] == names[str(scorer)])]
            rows = tidy[tidy["variant_scorer"] == str(scorer)]
            assert len(rows) == len(ours), (variant, scorer)
            wanted, scored = (np.sort(x["raw_score"].to_numpy(float)) for x in (ours, rows))
            np.testing.assert_allclose(scored, wanted, rtol=1e-3, atol=1e-5)


def test_tracks_of_both_strands_are_merged_by_default(model: DnaModel) -> None:
    scorer = variant_scorers.RECOMMENDED_VARIANT_SCORERS["RNA_SEQ"]
    variant = VARIANTS[0]
    merged, apart = (
        model.score_variant(around(variant), public(variant), [scorer], merge_stranded_gene_tracks=way)[0]
        for way in (True, False)
    )
    assert merged.var["strand"].tolist() == [".", ".", "."] and apart.var["strand"].tolist() == list("+-+-.")
    assert merged.obs["gene_name"].tolist() == apart.obs["gene_name"].tolist() and np.isfinite(merged.X).all()
    for own, wide, strand in zip(merged.X, apart.X, apart.obs["strand"], strict=True):
        np.testing.assert_array_equal(own, wide[[0, 2, 4] if strand == "+" else [1, 3, 4]])
        assert np.isnan(wide[[1, 3] if strand == "+" else [0, 2]]).all()


@pytest.mark.parametrize("variant", [*VARIANTS[:3], *VARIANTS[5:]], ids=lambda variant: variant.id)
def test_minus_strand_windows_are_right_by_symmetry(model: DnaModel, variant: Variant, folder: Path) -> None:
    """Of a model whose strands agree, the score on the minus strand is that of the forward one, indels included."""
    both = megabase.scoring.load(folder / "results/made/models/student", reverse_complement_average=True)
    plus, minus = (
        both.score_variant(around(variant, strand), public(variant), merge_stranded_gene_tracks=False)
        for strand in "+-"
    )
    for one, same in zip(plus, minus, strict=True):
        np.testing.assert_array_equal(one.X, same.X)
    # A single strand: the mean of what either predicts is what both together predict.
    scorer = variant_scorers.CenterMaskScorer(OutputType.DNASE, 501, variant_scorers.AggregationType.DIFF_MEAN)
    sides = [model.score_variant(around(variant, strand), public(variant), [scorer])[0].X for strand in "+-"]
    mean = both.score_variant(around(variant, "-"), public(variant), [scorer])[0].X
    np.testing.assert_allclose((sides[0] + sides[1]) / 2, mean, rtol=1e-3, atol=1e-5)


def test_one_window_is_read_once_for_its_variants(model: DnaModel) -> None:
    """Scores with a shared reference pass are those of one variant at a time, at the window's ends too."""
    near = [changed("chr1", place, 1, other("chr1", place)) for place in (2001, 4301, 6096)]
    scorers = [
        variant_scorers.CenterMaskScorer(OutputType.ATAC, width, how)
        for width in (501, 10_001, None)
        for how in variant_scorers.AggregationType
    ]
    scorers += [variant_scorers.ContactMapScorer(), variant_scorers.SpliceJunctionScorer()]
    together = model.score_variants(MIDDLE, [public(v) for v in near], scorers, progress_bar=False)
    for variant, own in zip(near, together, strict=True):
        alone = model.score_variant(MIDDLE, public(variant), scorers)
        for one, same in zip(own, alone, strict=True):
            np.testing.assert_allclose(one.X, same.X, rtol=2e-3, atol=2e-5)
    # By hand, from the predictions.
    output = model.predict_variant(MIDDLE, public(near[0]), requested_outputs=[OutputType.ATAC], ontology_terms=None)
    ref, alt = (x.atac.values[:251].astype(float) for x in (output.reference, output.alternate))
    place = scorers.index(
        variant_scorers.CenterMaskScorer(OutputType.ATAC, 501, variant_scorers.AggregationType.L2_DIFF)
    )
    np.testing.assert_allclose(together[0][place].X[0], np.sqrt(((alt - ref) ** 2).sum(axis=0)), rtol=2e-3, atol=1e-5)
    whole = [x.atac.values.astype(float) for x in (output.reference, output.alternate)]
    place = scorers.index(
        variant_scorers.CenterMaskScorer(OutputType.ATAC, None, variant_scorers.AggregationType.DIFF_LOG2_SUM)
    )
    wanted = np.log2((1 + whole[1].sum(axis=0)) / (1 + whole[0].sum(axis=0)))
    np.testing.assert_allclose(together[0][place].X[0], wanted, rtol=2e-3, atol=1e-6)


def test_both_alleles_share_their_splice_sites(model: DnaModel) -> None:
    variant = VARIANTS[2]
    output = model.predict_variant(
        around(variant), public(variant), requested_outputs=[OutputType.SPLICE_JUNCTIONS], ontology_terms=None
    )
    ref, alt = output.reference.splice_junctions, output.alternate.splice_junctions
    assert [str(j) for j in ref.junctions] == [str(j) for j in alt.junctions] and len(ref)
    assert not np.allclose(ref.values, alt.values)
    assert output.reference.splice_sites is None


def test_batches_give_what_single_calls_give(model: DnaModel, folder: Path) -> None:
    three = megabase.scoring.load(folder / "results/made/models/student", batch=3)
    asked = {"requested_outputs": [OutputType.ATAC, OutputType.SPLICE_JUNCTIONS], "ontology_terms": None}
    pairs = [(around(variant, "-" if i == 2 else "."), public(variant)) for i, variant in enumerate(VARIANTS[:4])]
    together = three.predict_variants(*zip(*pairs, strict=True), progress_bar=False, **asked)
    for pair, own in zip(pairs, together, strict=True):
        alone = model.predict_variant(*pair, **asked)
        for one, same in ((own.reference, alone.reference), (own.alternate, alone.alternate)):
            np.testing.assert_allclose(one.atac.values, same.atac.values, rtol=1e-3, atol=1e-5)
            assert list(map(str, one.splice_junctions.junctions)) == list(map(str, same.splice_junctions.junctions))
            np.testing.assert_allclose(one.splice_junctions.values, same.splice_junctions.values, rtol=2e-3, atol=1e-5)
    intervals = [pair[0] for pair in pairs]
    outputs = three.predict_intervals(intervals, progress_bar=False, **asked)
    for own, pair in zip(outputs, together, strict=True):
        np.testing.assert_allclose(own.atac.values, pair.reference.atac.values, rtol=1e-3, atol=1e-5)


def test_mutagenesis(model: DnaModel) -> None:
    interval, part = MIDDLE, genome.Interval("chr1", 4000, 4006)
    scorer = variant_scorers.RECOMMENDED_VARIANT_SCORERS["ATAC"]
    made = model.score_ism_variants(interval, part, [scorer], progress_bar=False, max_workers=1)
    variants = [own[0].uns["variant"] for own in made]
    assert len(variants) == 18 and {v.position for v in variants} == set(range(4001, 4007))
    alone = model.score_variant(interval, variants[7], [scorer])[0]
    np.testing.assert_allclose(made[7][0].X, alone.X, rtol=2e-3, atol=2e-5)
    matrix = ism.ism_matrix([float(own[0].X.mean()) for own in made], variants)
    assert matrix.shape == (6, 4) and np.count_nonzero(matrix) == 6
    change = genome.Variant("chr1", 4100, sequence("chr1")[4099], "A" if sequence("chr1")[4099] != "A" else "C")
    other = model.score_ism_variants(interval, part, [scorer], interval_variant=change, progress_bar=False)
    assert not np.array_equal(other[0][0].X, made[0][0].X)
    with pytest.raises(InputError, match="part of the interval"):
        model.score_ism_variants(interval, genome.Interval("chr1", 0, 6), [scorer])


def test_interval_scores(model: DnaModel) -> None:
    output = model.predict_interval(MIDDLE, requested_outputs=[OutputType.RNA_SEQ], ontology_terms=None)
    mean, total = (
        interval_scorers.GeneMaskScorer(OutputType.RNA_SEQ, 2001, kind)
        for kind in interval_scorers.IntervalAggregationType
    )
    made = model.score_interval(MIDDLE, [mean, total], merge_stranded_gene_tracks=False)
    target = MIDDLE.resize(2001)
    # A transcript of G1 starts in the middle 2,001 bp, and G3; G2 does not.
    assert made[0].obs["gene_id"].tolist() == ["G1.1", "G3"]
    values = output.rna_seq.values[4000 - 2000 : 4600 - 2000].astype(float)
    kept = [0, 2, 4]
    assert target.start <= 4000 and target.end >= 4600
    np.testing.assert_allclose(made[0].X[1, kept], values.mean(axis=0)[kept], rtol=1e-3)
    np.testing.assert_allclose(made[1].X[1, kept], values.sum(axis=0)[kept], rtol=1e-3)
    tidy = variant_scorers.tidy_scores([model.score_interval(MIDDLE)])
    assert set(tidy["gene_id"]) == {"G1", "G2", "G3"} and tidy["raw_score"].notna().all()
    with pytest.raises(InputError, match="wider interval"):
        model.score_interval(MIDDLE, list(interval_scorers.RECOMMENDED_INTERVAL_SCORERS.values()))


def test_what_is_asked_wrongly_is_said_in_one_line(model: DnaModel, folder: Path, tmp_path: Path) -> None:
    scorer = variant_scorers.RECOMMENDED_VARIANT_SCORERS["ATAC"]
    asked = {"requested_outputs": [OutputType.ATAC], "ontology_terms": None}
    for words, call in (
        ("no chromosome chr7", lambda: model.predict_interval(genome.Interval("chr7", 0, WINDOW), **asked)),
        ("multiple of 2,048", lambda: model.predict_interval(genome.Interval("chr1", 0, 1000), **asked)),
        ("sequence with X", lambda: model.predict_sequence("X" * WINDOW, **asked)),
        ("is not in", lambda: model.score_variant(genome.Interval("chr1", 0, WINDOW), public(VARIANTS[4]), [scorer])),
        ("given twice", lambda: model.score_variant(around(VARIANTS[0]), public(VARIANTS[0]), [scorer, scorer])),
        ("2 intervals for 1", lambda: model.score_variants([MIDDLE] * 2, [public(VARIANTS[0])], [scorer])),
        ("no tracks for ATAC", lambda: model.predict_sequence("A" * WINDOW, organism=MOUSE, **asked)),
        ("no reference", lambda: model.predict_interval(MIDDLE, organism=MOUSE, **asked)),
        ("no model here", lambda: megabase.scoring.load(tmp_path)),
    ):
        with pytest.raises(InputError, match=words):
            call()
    without = megabase.scoring.load(folder / "results/made/models/student", reference=tmp_path)
    assert without.predict_sequence("A" * WINDOW, **asked).atac.num_tracks == 1


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_tracks_of_the_release_are_described_in_full(shared: Path, organism: str) -> None:
    tables = released_rows(shared / "reference" / "tracks" / f"{organism}.tsv")
    metadata = output_metadata({bundle: pd.DataFrame(rows) for bundle, rows in tables.items() if rows})
    assert len(metadata.concatenate()) == sum(map(len, tables.values()))
    for kind in ALL:
        if (own := metadata.get(kind)) is not None:
            values = np.zeros((2, len(own)), np.float32)
            track_data.TrackData(values, own).ontology_terms  # noqa: B018
            variant_scoring_utils.merge_stranded_track_metadata(own)
    targets = set(metadata.chip_tf["transcription_factor"]) | set(metadata.chip_histone["histone_mark"])
    assert {"CTCF", "H3K27AC"} <= {target.upper() for target in targets}
    assert metadata.dnase["genetically_modified"].isin([True, False]).all()
    assert {"Assay title", "biosample_type", "biosample_life_stage", "data_source"} <= set(metadata.rna_seq)
