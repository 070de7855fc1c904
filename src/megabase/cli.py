"""`megabase`: the library's own calls, for people. The workflow itself is run with `snakemake`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from megabase.errors import InputError

app = tyro.extras.SubcommandApp()


@app.command
def check(config: tyro.conf.Positional[tuple[Path, ...]]) -> None:
    """Checks a config and says what it plans: organisms, tracks, folds, models.

    Args:
        config: YAML files, each merged over the one before; config/default.yaml lies under them.
    """
    from megabase.commands.check import check

    _print(check(config))


@app.command
def inspect(weights: tyro.conf.Positional[Path]) -> None:
    """Prints what a trained model says about itself: size, tracks, splits, provenance.

    Args:
        weights: Folder of the model, such as results/demo/models/fold_0.
    """
    from megabase.commands.inspect import inspect

    _print(inspect(weights))


@app.command
def tracks(
    words: tyro.conf.Positional[str],
    manifest: tyro.conf.UseAppendAction[tuple[Path, ...]] = (),
    tsv: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Finds tracks by words: `megabase tracks "k562 dnase"`.

    Args:
        words: Every word must stand somewhere in the track's row, whatever its case.
        manifest: A *.tracks.tsv file, or a folder searched for them (data/ by default); may be repeated.
        tsv: Print every column, tab-separated.
    """
    from megabase.commands.tracks import aligned, as_tsv, find_tracks

    found = find_tracks(words, manifest or (Path("data"),))
    if not found:
        raise InputError(f"no track has all of `{words}`", where="tracks", remedy="leave a word out")
    _print(as_tsv(found) if tsv else aligned(found))


@app.command
def manifest(
    action: tyro.conf.Positional[Literal["compare", "diff"]],
    folders: tyro.conf.Positional[tuple[Path, ...]],
    *,
    released: Path | None = None,
    names: int | None = None,
) -> None:
    """Compares a manifest with the release's tracks (`compare FOLDER`), or two manifests (`diff FOLDER FOLDER`).

    Args:
        action: compare: expected, found, missing and extra tracks, by name. diff: what came, went and changed.
        folders: Folders of manifests, such as data/paper/manifest; of diff also single tables of files.
        released: Folder with the release's tables of tracks, human.tsv and mouse.tsv; by default that beside the
            manifest, `released/`.
        names: Missing and extra tracks that are named, at most, per output type; all by default.
    """
    from megabase.commands import manifest as own

    if len(folders) != {"compare": 1, "diff": 2}[action]:
        what = f"{len(folders)} folders for {action}"
        raise InputError(what, where="manifest", remedy="give one to compare, two to diff")
    if action == "compare":
        _print(own.compare(folders[0], released or folders[0] / "released", names))
    else:
        _print(own.diff(*folders))


@app.command
def plan(
    configfile: tuple[Path, ...],
    *,
    gbit: float = 1.0,
    cores: int = 64,
    utilisation: float = 0.4,
) -> None:
    """Says what a config will fetch, store and compute, and what training costs.

    Args:
        configfile: YAML files, each merged over the one before; config/default.yaml lies under them.
        gbit: Bandwidth in Gbit/s.
        cores: Processor cores that build tracks at the same time.
        utilisation: Share of a device's peak that training reaches, counting useful operations.
    """
    from megabase.commands.plan import plan

    _print(plan(configfile, gbit, cores, utilisation))


@app.command
def predict(
    weights: tyro.conf.Positional[Path],
    *,
    reference: Path,
    region: str,
    out: Path,
    organism: str | None = None,
    tracks: str = "",
    resolution: int | None = None,
    window: int | None = None,
    picture: str = "tracks.png",
) -> None:
    """Predicts a region and writes one bigWig per track, one cooler file per contact map, and a picture of the tracks.

    Args:
        weights: Folder of the model, such as results/demo/models/fold_0.
        reference: Folder of the reference, such as data/demo/reference/demo.
        region: chrom:start-end, 0-based and half-open, or a whole chromosome.
        out: Folder for the files.
        organism: Name of the organism in the model; not needed where it has one.
        tracks: Words that a track must have, as in `megabase tracks`; all tracks by default.
        resolution: Bin size in bp: 1 or 128; the finest of each output type by default.
        window: Length in bp of the sequence read at once; that of training by default.
        picture: Name of the picture, a .png or .svg; '' for none.
    """
    from megabase.commands.predict import predict

    _print(map(str, predict(weights, reference, region, out, organism, tracks, resolution, window, picture)))


@app.command
def score(
    variants: tyro.conf.Positional[Path],
    *,
    model: Path,
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
    reference: Path | None = None,
    organism: str | None = None,
    scorers: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    batch: int = 1,
    window_grid: int = 0,
    values: tyro.conf.FlagCreatePairsOff[bool] = False,
    calibration: Path | None = None,
    single_strand: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Scores variants: what each changes in every track, by the paper's recommended scorers.

    A run that is stopped goes on where it was. Variants that cannot be scored are listed in OUT.skipped.tsv.

    Args:
        variants: VCF, plain, gzipped or bgzipped.
        model: Folder of the model, such as results/demo/models/student.
        out: Parquet file of the scores.
        reference: Folder of the reference, such as data/demo/reference/human; looked for under data/ by default.
        organism: Name of the organism in the model; not needed where it has one.
        scorers: Names of scorers, such as DNASE; may be repeated; all by default.
        batch: Variants predicted at once.
        window_grid: Neighbouring variants share windows whose middles are multiples of so many bp, and with them the
            reference's predictions, which halves the time; by default each variant is in the middle of its own.
        values: Two more columns: what REF and ALT predict.
        calibration: Table of `megabase calibrate`: one more column, the score's quantile among common variants.
        single_strand: Predict the forward strand only, in half the time.
    """
    from megabase.commands.score import score

    more = (window_grid, values, calibration)
    _print([str(score(variants, model, reference, out, organism, scorers, batch, not single_strand, *more))])


@app.command
def calibrate(
    scores: tyro.conf.Positional[Path],
    *,
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
) -> None:
    """Makes a table of quantiles from the scores of common variants, for `megabase score --calibration`.

    Saved as quantiles.ORGANISM.parquet in the model's folder, it is found by megabase.scoring.load().

    Args:
        scores: Parquet file of `megabase score` for a VCF of common variants.
        out: Parquet file of the quantiles.
    """
    from megabase.scoring.calibration import calibrate

    calibrate(scores, out)
    _print([str(out)])


@app.command
def ism(
    weights: tyro.conf.Positional[Path],
    *,
    region: str,
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
    reference: Path | None = None,
    organism: str | None = None,
    scorers: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    batch: int = 1,
    window: int | None = None,
    single_strand: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Changes every base of a region, one at a time, and writes what each change does: in-silico mutagenesis.

    Args:
        weights: Folder of the model, such as results/demo/models/student.
        region: chrom:start-end, 0-based and half-open.
        out: Parquet file: for each base, scorer, gene and track the scores of the other three, and the contribution.
        reference: Folder of the reference; looked for under data/ by default.
        organism: Name of the organism in the model; not needed where it has one.
        scorers: Names of scorers; may be repeated; ATAC and DNASE by default.
        batch: Changes predicted at once.
        window: Length in bp of the sequence around the region; that of training by default.
        single_strand: Predict the forward strand only, in half the time.
    """
    from megabase.commands.ism import ism

    _print([str(ism(weights, reference, region, out, organism, scorers, batch, window, single_strand))])


@app.command(name="variant-set")
def variant_set(
    name: tyro.conf.Positional[str],
    *,
    files: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="from")] = (),
    genome: Path | None = None,
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
    organism: str = "human",
    seed: int = 0,
) -> None:
    """Builds a published set of variants from its source: one kind of table, alleles checked against the genome.

    Args:
        name: Such as e2g, mfass or eqtl; docs/variant_sets.md lists them, their sources and the parts of each.
        files: File of the source, as PART=FILE where the set has several parts; may be repeated.
        genome: FASTA, or folder of a reference, such as data/paper/reference/human; without it nothing is checked.
        out: Parquet file of the set; its counts are written beside it as .counts.json.
        organism: Name that the set's rows get.
        seed: Of what is drawn: controls, tissues, random alleles.
    """
    from megabase.commands.variant_set import variant_set

    _print(variant_set(name, files, genome, out, organism, seed))


@app.command
def attribute(
    pairs: tyro.conf.Positional[Path],
    *,
    model: Path,
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
    reference: Path | None = None,
    organism: str | None = None,
    tracks: str = "",
    window: int | None = None,
    single_strand: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Scores links between elements and genes: how much a gene's expression hangs on the bases of an element.

    Pairs without a score (a gene that the annotation does not have) are listed in OUT.skipped.tsv.

    Args:
        pairs: Table separated by tabs with a header: chrom, start, end (0-based, half-open) and gene_id.
        model: Folder of the model, such as results/demo/models/student.
        out: Parquet file of the scores: near 1 is usual, 0 outside the window around the gene.
        reference: Folder of the reference; looked for under data/ by default.
        organism: Name of the organism in the model; not needed where it has one.
        tracks: Words that an RNA-seq track must have, such as K562; all of them by default.
        window: Length in bp of the sequence around a gene; that of training by default.
        single_strand: Predict the forward strand only, in half the time.
    """
    from megabase.commands.attribute import attribute

    _print([str(attribute(pairs, model, out, reference, organism, tracks, window, single_strand))])


@app.command
def page(
    weights: tyro.conf.Positional[Path],
    *,
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
    variant: str | None = None,
    region: str | None = None,
    reference: Path | None = None,
    organism: str | None = None,
    window: int | None = None,
    single_strand: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Writes a page about one variant or region: tracks, genes, splice junctions, contact maps and scores.

    Args:
        weights: Folder of the model, such as results/demo/models/student.
        out: HTML file; it needs no other.
        variant: chrom:position:REF>ALT, 1-based, such as chr1:21462:A>G.
        region: Instead of a variant: chrom:start-end, 0-based and half-open.
        reference: Folder of the reference; looked for under data/ by default.
        organism: Name of the organism in the model; not needed where it has one.
        window: Length in bp of the sequence that is read and drawn; that of training by default.
        single_strand: Predict the forward strand only, in half the time.
    """
    from megabase.commands.page import page

    _print([str(page(weights, reference, out, variant, region, organism, window, single_strand))])


@app.command
def finetune(
    weights: tyro.conf.Positional[Path],
    *,
    shards: tyro.conf.UseAppendAction[tuple[Path, ...]],
    out: Path,
    heads_only: tyro.conf.FlagCreatePairsOff[bool] = False,
    adapters: int = 0,
    preset: Literal["borzoi_32bp", "enformer_128bp"] | None = None,
    resolution: int | None = None,
    only: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    steps: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    warmup: int | None = None,
    seed: int = 0,
) -> None:
    """Trains a model further on windows of your own; a second call goes on where the first was stopped.

    Args:
        weights: Folder of the model to begin with, such as results/demo/models/student, or an imported one.
        shards: Folder of windows, such as data/demo/shards/human/fold_0; once for each organism.
        out: Folder for the new model; checkpoints and metrics.jsonl are kept in it.
        heads_only: Train the heads, and leave the network below as it is.
        adapters: Rank of low-rank adapters that are trained with the heads, in place of the whole network.
        preset: Bins, windows and recipe for comparison with Borzoi or Enformer.
        resolution: Bin of all tracks along the genome, in bp: a power of two up to 128.
        only: Ontology term of a biosample whose tracks are learnt, such as EFO:0002784, if not all; once for each.
        steps: Updates; 1000, or those of the preset.
        batch: Windows per update; 1, or those of the preset.
        learning_rate: Highest learning rate; 0.0005, or that of the preset.
        warmup: Updates until it is reached; 50, or those of the preset.
        seed: Of the order of windows, and of heads that begin anew.
    """
    from megabase.commands.finetune import finetune

    given = {"steps": steps, "batch": batch, "learning_rate": learning_rate, "warmup": warmup}
    usual: dict[str, int | float] = {"steps": 1_000, "batch": 1, "learning_rate": 0.0005, "warmup": 50}
    recipe = ({} if preset else usual) | {key: value for key, value in given.items() if value is not None}
    recipe |= {"seed": seed, "adapter_rank": adapters}
    options = {"heads_only": heads_only, "preset": preset, "resolution": resolution, "only": only}
    _print([str(finetune(weights, shards, out, recipe=recipe, **options))])  # type: ignore[arg-type]


@app.command
def doctor(expect: Literal["cpu", "gpu", "tpu"] | None = None) -> None:
    """Says what this machine offers: versions, bedtools, STAR, memory, disk, devices.

    Args:
        expect: Fail unless JAX sees such a device.
    """
    from megabase.commands.doctor import diagnose

    _print(diagnose(expect))


@app.command
def fit(
    *,
    preset: Literal["paper", "demo"],
    length: int,
    target: str,
    mesh: str = "data=1,sequence=1",
    train: tyro.conf.FlagCreatePairsOff[bool] = False,
    batch: int | None = None,
    tracks: Path | None = None,
    thorough: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Says whether a model fits devices, without having them: memory, operations, exchanges.

    Args:
        preset: Size of the network.
        length: Length of a window in bp, a multiple of 2,048.
        target: A kind of TPU and the layout of its chips, such as v5p:2x2x2 or v3:2x2; or cpu.
        mesh: Devices that windows (data) and the positions of each window (sequence) are divided over.
        train: An update with optimizer and all losses; inference otherwise.
        batch: Windows at once, on all devices together; one for each device along data by default.
        tracks: Folder with the release's tables of tracks, human.tsv and mouse.tsv; the paper's heads need it.
        thorough: Compile as for a run, in ten times the time; without it with the least effort for a fast program.
    """
    from megabase.commands.fit import fit

    _print(fit(preset, tracks, length, mesh, target, train, batch, thorough))


@app.command(name="import-official")
def import_official(checkpoint: tyro.conf.Positional[Path], out: tyro.conf.Positional[Path], *, tracks: Path) -> None:
    """Turns a released AlphaGenome checkpoint into a model of ours, which describes itself.

    Args:
        checkpoint: Folder of the released Orbax checkpoint.
        out: Folder for the model.
        tracks: Folder with the release's tables of tracks, human.tsv and mouse.tsv.
    """
    from megabase.commands.import_official import import_official

    import_official(checkpoint, tracks, out)


@app.command
def publish(
    folder: tyro.conf.Positional[Path],
    url: tyro.conf.Positional[str],
    verify: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Copies a store, shards or a model to an object store, by hash: what is there already is not sent again.

    Args:
        folder: Such as data/demo/store/human.zarr. Shards of layout `view` find their store where it lies beside them:
            publish both under one address, each at its path below `data/demo`.
        url: gs://bucket/path or s3://bucket/path; credentials come from the environment.
        verify: Read every object back and compare.
    """
    from megabase.commands.publish import publish

    _print(publish(folder, url, verify))


@app.command
def schema() -> None:
    """Prints the JSON schema of the config."""
    from megabase.repository.schemas import schema_text

    print(schema_text(), end="")


@app.command
def stages(
    action: tyro.conf.Positional[Literal["list", "accept", "bump"]] = "list",
    names: tyro.conf.Positional[tuple[str, ...]] = (),
    note: str = "",
) -> None:
    """Shows stage versions; records code whose outputs stay the same (`accept`) or change (`bump`).

    Args:
        action: list: print versions, and fail where code and record differ. accept: record changed code whose outputs
            stay the same. bump: raise the version, so that everything the stage makes is made again, and record it.
        names: Stages to accept or bump; `all` accepts every one that differs.
        note: Why the outputs stay the same, or what changed in them, in one line.
    """
    from megabase.repository import stages as record
    from megabase.repository.root import repository_root

    root = repository_root()
    if action == "list":
        _print(f"{row.stage}: version {row.version}, code {row.code}" for row in record.current_stages(root).values())
        if problems := record.unrecorded(root):
            sys.exit("\n".join(problems))
    else:
        rows = (record.accept if action == "accept" else record.bump)(root, names, note)
        _print(f"{row.stage}: version {row.version}, code {row.code}" for row in rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; what is wrong with the user's input is one line on stderr and exit status 1."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("jax").setLevel(logging.WARNING)
    try:
        app.cli(prog="megabase", description=__doc__, args=arguments, config=(tyro.conf.OmitArgPrefixes,))
    except InputError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; Python must not complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)
