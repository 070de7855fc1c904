"""`megabase`: the library's own calls, for people. The workflow itself is run with `snakemake`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

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
) -> None:
    """Predicts a region and writes one bigWig per track.

    Args:
        weights: Folder of the model, such as results/demo/models/fold_0.
        reference: Folder of the reference, such as data/demo/reference/demo.
        region: chrom:start-end, 0-based and half-open, or a whole chromosome.
        out: Folder for the bigWig files.
        organism: Name of the organism in the model; not needed where it has one.
        tracks: Words that a track must have, as in `megabase tracks`; all tracks by default.
        resolution: Bin size in bp: 1 or 128; the finest of each output type by default.
        window: Length in bp of the sequence read at once; that of training by default.
    """
    from megabase.commands.predict import predict

    _print(map(str, predict(weights, reference, region, out, organism, tracks, resolution, window)))


@app.command
def score(
    variants: tyro.conf.Positional[Path],
    *,
    model: Path,
    reference: Path,
    out: Path,
    organism: str | None = None,
    scorers: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
    batch: int = 1,
    single_strand: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Scores variants: what each changes in every track, by the paper's recommended scorers.

    Args:
        variants: VCF, plain or gzipped.
        model: Folder of the model, such as results/demo/models/student.
        reference: Folder of the reference, such as data/demo/reference/human.
        out: Parquet file of the scores.
        organism: Name of the organism in the model; not needed where it has one.
        scorers: Names of scorers, such as DNASE; may be repeated; all by default.
        batch: Variants predicted at once.
        single_strand: Predict the forward strand only, in half the time.
    """
    from megabase.commands.score import score

    _print([str(score(variants, model, reference, out, organism, scorers, batch, not single_strand))])


@app.command
def doctor(expect: Literal["cpu", "gpu", "tpu"] | None = None) -> None:
    """Says what this machine offers: versions, bedtools, STAR, memory, disk, devices.

    Args:
        expect: Fail unless JAX sees such a device.
    """
    from megabase.commands.doctor import diagnose

    _print(diagnose(expect))


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
