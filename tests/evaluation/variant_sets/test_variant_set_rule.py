"""Sets by name: from files, a reference, an archive or a URL; the command; the config; the rule."""

from __future__ import annotations

import http.server
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from worlds import World

from megabase.artifacts import file_sha256
from megabase.commands.variant_set import variant_set
from megabase.config import load
from megabase.errors import InputError
from megabase.evaluation.variant_sets import e2g
from megabase.evaluation.variant_sets.build import RECIPES, build_variant_set, local_files
from megabase.evaluation.variant_sets.config import SETS, VariantSource
from megabase.evaluation.variant_sets.table import read_variant_set
from megabase.genome.config import Fold, Organism
from megabase.genome.reference import build_reference
from megabase.portals.config import PortalsConfig


def pairs(world: World) -> Path:
    row = ["chr1", 100, 200, "pair", -0.5, "ENSG1.1", "TRUE", 500]
    other = ["chr1", 300, 400, "other", 0.5, "ENSG2.1", "FALSE", 700]
    return world.file("pairs.tsv", [list(e2g.NEEDED), row, other])


def test_every_set_has_a_recipe() -> None:
    assert set(RECIPES) == set(SETS)


def test_a_reference_brings_genes(tmp_path: Path) -> None:
    world = World(tmp_path)
    gtf = world.file("genes.gtf", ['chr1\tx\texon\t501\t600\t.\t+\t.\tgene_id "ENSG1.9"; transcript_id "t";'])
    organism = Organism(
        index=0,
        assembly="GRCh38",
        fasta=str(world.fasta),
        annotation=str(gtf),
        chromosomes=["chr1", "chr3"],
        sources="none.tsv",
        bundles={},
        folds=[Fold(train=["chr1"], valid=["chr3"], test=["chr3"])],
    )
    build_reference(organism, tmp_path / "reference")
    out = tmp_path / "out" / "e2g.parquet"
    out.parent.mkdir()
    build_variant_set("e2g", {"table": pairs(world)}, tmp_path / "reference", out)
    made = read_variant_set(out)
    assert made.table["variant_id"].tolist() == ["pair"] and made.counts["dropped"] == {e2g.NOT_ANNOTATED: 1}


def test_the_command_says_what_was_counted(tmp_path: Path) -> None:
    world = World(tmp_path)
    ref, alt = world.ref("chr1", 40), world.alt("chr1", 40)
    lines = [["##x"], ["chr1", 40, f"chr1_40_{ref}_{alt}", alt, ref, ".", ".", ""]]
    positives, negatives = world.file("p.vcf", lines), world.file("n.vcf", lines)
    files = [f"Lung_pos={positives}", f"Lung_neg={negatives}"]
    said = list(variant_set("eqtl", files, world.fasta, tmp_path / "eqtl.parquet", "human", 0))
    assert said[0].endswith("eqtl.parquet: 2 of 2 rows; 1 positives")
    assert said[1] == "alleles are the genome's; 2 were swapped, 0 moved from hg19"
    said = list(variant_set("e2g", [str(pairs(world))], None, tmp_path / "e2g.parquet", "human", 0))
    assert said[1].startswith("no allele is checked: no genome was given")
    with pytest.raises(InputError, match="two files for `table`"):
        list(variant_set("e2g", ["a.tsv", "table=b.tsv"], None, tmp_path / "x.parquet", "human", 0))
    with pytest.raises(InputError, match="no variant set `nothing`; choose from clinvar"):
        list(variant_set("nothing", [], None, tmp_path / "x.parquet", "human", 0))
    assert not (tmp_path / "x.parquet").exists()


def test_the_command_line(tmp_path: Path) -> None:
    table, out = pairs(World(tmp_path)), tmp_path / "e2g.parquet"
    command = [sys.executable, "-c", "from megabase.cli import main; main()", "variant-set", "e2g"]
    done = subprocess.run([*command, "--from", str(table), "-o", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 rows; 1 positives" in done.stdout and out.exists()
    table.write_text("chrom\tsomething\n")
    done = subprocess.run([*command, "--from", str(table), "-o", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "line 1: no column `chromStart`" in done.stderr.splitlines()[-1]


def test_an_archive_of_tissues(tmp_path: Path) -> None:
    world = World(tmp_path)
    ref, alt = world.ref("chr1", 40), world.alt("chr1", 40)
    for kind in ("pos", "neg"):
        world.file(
            f"repo-1/sqtl/Lung_{kind}.vcf.gz", [["chr1", 40, f"chr1_40_{ref}_{alt}", ref, alt, ".", ".", "PI=a"]]
        )
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as file:
        file.add(tmp_path / "repo-1", "repo-1")
    build_variant_set("sqtl", {"folder": tmp_path / "all.tar.gz"}, world.fasta, tmp_path / "sqtl.parquet")
    assert set(read_variant_set(tmp_path / "sqtl.parquet").counts["sources"]["folder"]) == {
        "Lung_neg.vcf.gz",
        "Lung_pos.vcf.gz",
    }
    with pytest.raises(InputError, match="no folder `eqtl` in it"):
        build_variant_set("eqtl", {"folder": tmp_path / "all.tar.gz"}, world.fasta, tmp_path / "eqtl.parquet")
    with pytest.raises(InputError, match="neither a folder nor a tar archive"):
        build_variant_set("eqtl", {"folder": world.fasta}, world.fasta, tmp_path / "eqtl.parquet")


def test_an_archive_writes_nothing_beside_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    with tarfile.open(tmp_path / "odd.tar", "w") as file:
        file.add(world.fasta, "../../escaped.fa")
        file.add(world.fasta, f"{tmp_path}/absolute.fa")
        link = tarfile.TarInfo("sqtl")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        file.addfile(link)
        file.add(world.fasta, "sqtl/through.fa")
    with pytest.raises(InputError):
        build_variant_set("sqtl", {"folder": tmp_path / "odd.tar"}, world.fasta, tmp_path / "sqtl.parquet")
    assert not [*tmp_path.rglob("escaped.fa"), *tmp_path.rglob("absolute.fa"), *tmp_path.glob("through.fa")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A folder behind HTTP."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def test_files_behind_a_url_are_fetched_and_verified(site: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = site
    table = pairs(World(tmp_path))
    (folder / "pairs.tsv").write_bytes(table.read_bytes())
    portals = PortalsConfig(retries=0, backoff=0.01, requests_per_second=1000)
    promised = {"table": f"sha256:{file_sha256(table)}"}
    source = VariantSource(files={"table": f"{url}/pairs.tsv", "own": str(table)}, checksums=promised)
    found = local_files(source, tmp_path / "raw" / "e2g", portals)
    assert found["own"] == table and found["table"] == tmp_path / "raw" / "e2g" / "table.pairs.tsv"
    assert found["table"].read_bytes() == table.read_bytes()
    wrong = VariantSource(files={"table": f"{url}/pairs.tsv"}, checksums={"table": "sha256:00"})
    with pytest.raises(InputError, match="checksum mismatch"):
        local_files(wrong, tmp_path / "raw" / "other", portals)


def settings(repo_root: Path, tmp_path: Path, sets: dict[str, object]) -> Path:
    path = tmp_path / "sets.yaml"
    path.write_text(yaml.safe_dump({"variant_sets": sets}))
    return path


def test_the_config(repo_root: Path, tmp_path: Path) -> None:
    base = [repo_root / "config" / name for name in ("default.yaml", "demo.yaml")]
    assert load(base).variant_sets == {}
    own = {"e2g": {"files": {"table": "tables/pairs.tsv", "more": "https://x.org/a"}}}
    config = load([*base, settings(repo_root, tmp_path, own)])
    assert config.variant_sets["e2g"].files == {
        "table": str(Path(config.source_root) / "tables" / "pairs.tsv"),
        "more": "https://x.org/a",
    }
    for bad, said in [
        ({"nothing": {}}, "nothing"),
        ({"e2g": {"organism": "yeast"}}, "no organism `yeast`"),
        ({"e2g": {"files": {"table": "a.tsv"}, "checksums": {"table": "md5:00"}}}, "no file behind a URL"),
        ({"e2g": {"file": "a.tsv"}}, "unknown key `file`"),
    ]:
        with pytest.raises(InputError, match=said):
            load([*base, settings(repo_root, tmp_path, bad)])


def test_the_paper_names_its_public_sets(repo_root: Path) -> None:
    named = load([repo_root / "config" / "default.yaml", repo_root / "config" / "paper.yaml"]).variant_sets
    assert {"clinvar", "mfass", "eqtl", "sqtl", "paqtl", "cagi5", "e2g", "traitgym_mendelian", "tal1"} <= set(named)
    for source in named.values():
        assert all(place.startswith("https://") for place in source.files.values())


def test_the_rule_plans_one_job_per_set(repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "config").symlink_to(repo_root / "config")
    table = pairs(World(tmp_path))
    own = settings(repo_root, tmp_path, {"e2g": {"files": {"table": str(table)}}, "tal1": {}})
    files = ["config/demo.yaml", str(own)]
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--directory", str(tmp_path)]
    command += ["--snakefile", str(repo_root / "Snakefile"), "--configfile", *files, "--"]
    done = subprocess.run([*command, "variant_sets"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    counted = [line.split() for line in done.stdout.splitlines() if line.startswith("build_variant_set")]
    assert counted[0] == ["build_variant_set", "2"] and "variant_sets/tal1.parquet" in done.stdout
