"""Links between elements and genes, from gradients of a small model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_model import WINDOW, write_model, write_reference

from megabase.commands.attribute import attribute
from megabase.errors import InputError
from megabase.genome.reference import Reference
from megabase.genome.regions import Region
from megabase.model.weights import load
from megabase.scoring.annotation import Annotation
from megabase.scoring.attribution import Gradients, element_score, read_pairs, saliency, window_around
from megabase.scoring.forward import Forward
from megabase.scoring.reading import BOTH, Reader
from megabase.scoring.variants import organism_tables


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and its reference."""
    folder = tmp_path_factory.mktemp("world")
    return write_model(folder / "model"), write_reference(folder / "reference")


def test_gradient_is_the_slope_of_the_log_of_reads_over_exons(world: tuple[Path, Path]) -> None:
    import jax
    import jax.numpy as jnp

    network, description = load(world[0])
    tables = organism_tables(description, "first", world[0])
    reference, annotation = Reference.open(world[1]), Annotation.open(world[1])
    chrom, gene = annotation.named("G2") or ("", None)
    assert gene is not None and gene.id == "G2.3"
    window = window_around(gene, chrom, WINDOW)
    exons = next(mask for one, mask in annotation.starting(window) if one.id == gene.id)
    codes = reference.codes(*window)
    forward = Forward(network)
    # Rows aabbc, + - + - .: of a gene of the minus strand the second, fourth and fifth count.
    slopes = Gradients(forward, 0, tables, [0, 1, 4], BOTH)(codes, exons, gene.strand)
    reader = Reader(forward, 0, tables, BOTH)

    def expression(dna: np.ndarray) -> float:
        run = forward.compiled(lambda model, dna: reader.of_dna(model, dna, {"RNA_SEQ"}).tracks["RNA_SEQ"])
        tracks = np.asarray(run(jnp.asarray(dna[None])), np.float64)[0]
        return float(np.log(tracks[exons][:, [1, 4]].sum()))

    dna = np.asarray(jax.nn.one_hot(codes, 4), np.float32)
    assert slopes.shape == dna.shape
    direction = np.random.default_rng(0).normal(size=dna.shape).astype(np.float32)
    direction /= np.linalg.norm(direction)
    step = 0.05
    found = (expression(dna + step * direction) - expression(dna - step * direction)) / (2 * step)
    assert found == pytest.approx(float(np.sum(slopes * direction)), rel=0.03, abs=1e-4)


def test_saliency_is_of_the_base_that_is_there() -> None:
    gradient = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 8]], np.float32)
    assert saliency(gradient, np.array([0, 2, 4], np.uint8)).tolist() == [0.75, 0.0, 0.0]
    assert saliency(gradient, np.array([1, 2, 3], np.uint8)).tolist() == [0.25, 0.0, 6.0]


def test_elements_weigh_what_is_near_their_middle() -> None:
    window = Region("chr1", 1000, 9000)
    flat = np.ones(8000, np.float32)
    assert element_score(flat, window, Region("chr1", 4000, 4500)) == pytest.approx(1.0)
    assert element_score(flat, window, Region("chr1", 1000, 1010)) == pytest.approx(1.0)  # cut by the window's end
    assert element_score(flat, window, Region("chr1", 0, 1000)) == 0.0
    assert element_score(flat, window, Region("chr2", 4000, 4500)) == 0.0
    assert element_score(np.zeros(8000, np.float32), window, Region("chr1", 4000, 4500)) == 0.0
    peak = np.zeros(8000, np.float32)
    peak[4250 - 1000] = 8000.0  # a mean of 1
    weights = np.exp(-0.5 * ((np.arange(3050, 5450) - 4250) / 300) ** 2)
    assert element_score(peak, window, Region("chr1", 4000, 4500)) == pytest.approx(8000 / weights.sum())
    assert element_score(peak, window, Region("chr1", 5500, 5600)) == 0.0  # 1,300 bp away


def test_pairs_are_scored_and_the_rest_is_explained(world: tuple[Path, Path], tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text(
        "chrom\tstart\tend\tgene_id\tnote\n"
        "chr1\t2500\t2700\tG1\ta\n"
        "chr2\t100\t200\tG1\tother chromosome\n"
        "chr1\t2500\t2700\tnothing\tb\n"
        "chr1\t4000\t4200\tG2.3\tc\n"
    )
    model, reference = world
    out = attribute(pairs, model, tmp_path / "links.parquet", reference, "first", single_strand=True)
    table = pd.read_parquet(out)
    assert table["gene_id"].tolist() == ["G1", "G1", "nothing", "G2.3"]
    assert table["score"][1] == 0
    assert np.isnan(table["score"][2])
    assert (table["score"][[0, 3]] > 0).all()
    skipped = pd.read_csv(tmp_path / "links.skipped.tsv", sep="\t")
    assert skipped["reason"].tolist() == ["no gene nothing in the annotation"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("chrom\tstart\tend\nchr1\t1\t2\n", "gene_id"),
        ("chrom\tstart\tend\tgene_id\nchr1\t1\t2\tG1\nchr1\t5\t5\tG1\n", "row 2"),
        ("chrom\tstart\tend\tgene_id\nchr1\tx\t5\tG1\n", "row 1"),
    ],
)
def test_wrong_pairs_are_named(text: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text(text)
    with pytest.raises(InputError, match=where):
        read_pairs(tmp_path / "pairs.tsv")


def test_tracks_that_do_not_exist_are_named(world: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("chrom\tstart\tend\tgene_id\nchr1\t1\t5\tG1\n")
    with pytest.raises(InputError, match="K562"):
        attribute(tmp_path / "pairs.tsv", world[0], tmp_path / "o.parquet", world[1], "first", tracks="K562")
