"""Every set by its name, and its files from wherever they are."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from megabase.errors import InputError
from megabase.evaluation.variant_sets import (
    accessibility,
    cagi5,
    clinvar,
    e2g,
    mfass,
    outliers,
    qtl,
    tal1,
    traitgym,
)
from megabase.evaluation.variant_sets.alleles import Genome
from megabase.evaluation.variant_sets.config import SETS, VariantSource
from megabase.evaluation.variant_sets.table import Given, VariantSet
from megabase.genome.reference import Reference
from megabase.portals.config import PortalsConfig
from megabase.portals.fetch import fetch_reference

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one set is built."""

    build: Callable[[Given], VariantSet]
    main: str
    """The part of a file that is given without saying which."""


def _recipes() -> Iterator[tuple[str, Recipe]]:
    yield clinvar.NAME, Recipe(clinvar.build, "vcf")
    yield mfass.NAME, Recipe(mfass.build, "table")
    kinds: tuple[qtl.Kind, ...] = ("eqtl", "sqtl", "paqtl", "ipaqtl")
    for kind in kinds:
        yield kind, Recipe(functools.partial(qtl.build, kind=kind), "folder")
    yield "eqtl_as_listed", Recipe(functools.partial(qtl.build, kind="eqtl", as_listed=True), "folder")
    yield "eqtl_balanced", Recipe(qtl.build_balanced, "folder")
    yield "eqtl_indel", Recipe(qtl.build_indels, "folder")
    for name in accessibility.ASSAYS:
        yield name, Recipe(functools.partial(accessibility.build, name=name), "table")
    yield "cagi5", Recipe(cagi5.build, "train")
    yield "cagi5_hg19", Recipe(functools.partial(cagi5.build, assembly="hg19"), "train")
    yield e2g.NAME, Recipe(e2g.build, "table")
    yield outliers.NAME, Recipe(outliers.build, "table")
    for name in ("traitgym_mendelian", "traitgym_complex"):
        yield name, Recipe(functools.partial(traitgym.build, name=name), "table")
    yield tal1.NAME, Recipe(tal1.build, "table")


RECIPES = dict(_recipes())


def build_variant_set(
    name: str, files: Mapping[str, Path], genome: Path | None, out: Path, *, organism: str = "human", seed: int = 0
) -> VariantSet:
    """Builds a set and writes it to `out` with its counts beside it.

    `genome` is a reference folder, or a FASTA; sets that need genes or exons need the folder. Raises InputError for an
    unknown set and for whatever is wrong with a file.
    """
    if name not in RECIPES:
        raise InputError(f"no variant set `{name}`", where="variant set", remedy=f"choose from {', '.join(SETS)}")
    given = Given(dict(files), organism=organism, seed=seed)
    if genome is not None and (genome / "reference.json").exists():
        reference = Reference.open(genome)
        given = dataclasses.replace(given, genome=reference, genes=reference.genes(), exons=reference.exons())
    elif genome is not None:
        given = dataclasses.replace(given, genome=Genome(genome))
    with _unpacked(name, given) as ready:
        made = RECIPES[name].build(ready)
    made.write(out)
    left_out = sum(made.counts["dropped"].values())
    logger.info("%s: %s rows, %s positives, %s left out", name, len(made.table), made.counts["positives"], left_out)
    if given.genome is None:
        logger.warning("%s: no genome was given, so no allele is checked", name)
    return made


def local_files(
    source: VariantSource,
    folder: Path,
    portals: PortalsConfig | None = None,
    base_urls: Mapping[str, str] | None = None,
) -> dict[str, Path]:
    """The source's files by part, those behind a URL fetched to `folder` and verified.

    Raises InputError for a file that cannot be fetched or is not the one that `checksums` promises.
    """
    found = {}
    for part, place in source.files.items():
        if ":" in place:
            out = folder / f"{part}.{place.partition('?')[0].rsplit('/', 1)[-1]}"
            found[part] = fetch_reference(place, out, portals, base_urls, source.checksums.get(part, ""))
        else:
            found[part] = Path(place)
    return found


def _unpack(file: tarfile.TarFile, folder: str) -> None:
    """Files and folders within `folder`, and nothing else. (Python 3.11 has `extractall(filter="data")` from its fourth
    release on alone.)"""
    root = Path(folder).resolve()
    for member in file:
        if (root / member.name).resolve().is_relative_to(root) and (member.isfile() or member.isdir()):
            file.extract(member, folder, set_attrs=False)


@contextlib.contextmanager
def _unpacked(name: str, given: Given) -> Iterator[Given]:
    """What is given, with a `folder` that is a tar archive unpacked for as long as the block runs: then it is the
    folder in it that has the name of the kind of QTL, as in Borzoi's."""
    archive = given.files.get("folder")
    if archive is None or archive.is_dir():
        yield given
        return
    if not archive.exists() or not tarfile.is_tarfile(archive):
        raise InputError("neither a folder nor a tar archive", where=archive, remedy="give folder=FOLDER")
    kind = name.partition("_")[0]
    with tempfile.TemporaryDirectory() as unpacked:
        try:
            with tarfile.open(archive) as file:
                _unpack(file, unpacked)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise InputError(f"cannot be unpacked: {error}", where=archive, remedy="fetch it again") from None
        found = sorted(path for path in Path(unpacked).rglob(kind) if path.is_dir())
        if not found:
            raise InputError(f"no folder `{kind}` in it", where=archive, remedy="give folder=FOLDER")
        yield dataclasses.replace(given, files={**given.files, "folder": found[0]})
