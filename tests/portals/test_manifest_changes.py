"""A pinned answer is never replaced silently, and two manifests say what came, went and changed."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from recorded_answers import FILES, encode_file, search
from site_with_faults import Site

from megabase.commands.manifest import diff
from megabase.errors import InputError
from megabase.genome.config import Organism
from megabase.portals.changes import change_lines, changes, read_files
from megabase.portals.config import PortalsConfig, Query
from megabase.portals.http import Web
from megabase.portals.query import write_sources
from megabase.portals.sources import read_sources

ORGANISM = Organism(
    index=0,
    assembly="made1",
    fasta="x",
    annotation="x",
    chromosomes=["chr1"],
    bundles={"DNASE": 1},
    sections=[[f"chr{number}"] for number in range(8)],
)
DNASE = Query(portal="encode", bundle="DNASE")


@pytest.fixture
def ask(site: Site, web: Web, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Asks as the workflow does: the declared output is gone before each run, the pinned answer is not."""

    def asked(*queries: Query) -> Path:
        out = tmp_path / "human.sources.tsv"
        out.unlink(missing_ok=True)
        urls = {"encode": site.url}
        pin = tmp_path / "pinned" / "human.sources.tsv"
        write_sources("human", ORGANISM, queries, PortalsConfig(), out, urls, web=web, pin=pin)
        return out

    return asked


def test_an_answer_is_pinned_and_kept(site: Site, ask, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    site.pages["/search/"] = search()
    first = ask(DNASE).read_text()
    assert len(read_sources(tmp_path / "human.sources.tsv", "raw")) == 2
    assert ask(DNASE).read_text() == first, "the times are those of the first answer"
    pin = tmp_path / "pinned" / "human.sources.tsv"
    more = [*FILES, encode_file("ENCFF00013", "ENCSR7", "EFO:0002067", "DNase-seq", "alignments")]
    more[-1]["technical_replicates"] = ["3_1"]
    more = [file | {"file_size": 5} if file["accession"] == "ENCFF00010" else file for file in more]
    site.pages["/search/"] = search(more)
    with pytest.raises(InputError, match=r"than what is pinned: 1 file added, 1 file changed; .*delete") as no:
        ask(DNASE)
    assert pin.read_text() == first and not (tmp_path / "human.sources.tsv").exists()
    new = Path(f"{pin}.new")
    assert str(new) in str(no.value)
    lines = list(diff(pin, new))
    assert lines == [
        "human: 1 file added, 1 file changed",
        "+ file encode:ENCFF00013.bam",
        "~ file encode:ENCFF00010.bam: bytes 100 -> 5",
    ]
    pin.unlink()
    assert len(read_files(ask(DNASE))) == 3 and not new.exists()


def test_other_questions_replace_the_pinned_answer_and_say_so(  # type: ignore[no-untyped-def]
    site: Site, ask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.pages["/search/"] = search()
    ask(DNASE)
    with caplog.at_level(logging.INFO):
        out = ask(Query(portal="encode", bundle="DNASE", without=["ENCFF00011"]))
    assert [row["accession"] for row in read_files(out)] == ["ENCFF00010"]
    assert "other questions, other answer: 1 file removed" in caplog.text
    assert "- file encode:ENCFF00011.bam" in caplog.text


def test_changes_between_manifests(tmp_path: Path) -> None:
    row = {"bundle": "CAGE", "track": "a", "strand": "+", "portal": "fantom5", "path": "raw/a.gz", "bytes": "5"}
    before = [row, row | {"strand": "-"}, row | {"track": "b", "path": "raw/b.gz"}]
    after = [row | {"bytes": "6"}, row | {"strand": "-", "bytes": "6"}, row | {"track": "c", "path": "raw/c.gz"}]
    changed = changes(before, after)
    assert changed.summary == "1 track added, 1 track removed, 1 file added, 1 file removed, 1 file changed"
    assert list(change_lines(changed)) == [
        "+ track CAGE  c (+)",
        "- track CAGE  b (+)",
        "+ file fantom5:c.gz",
        "- file fantom5:b.gz",
        "~ file fantom5:a.gz: bytes 5 -> 6",
    ]
    assert not changes(before, before[::-1]) and changes(before, before).summary == "nothing"
    again = [entry | {"retrieved": "later", "query": "other"} for entry in before]
    assert not changes(before, again), "when and how a file was found is no property of it"
    with pytest.raises(InputError, match="no manifest here"):
        list(diff(tmp_path, tmp_path))
    json.dumps(changed.changed_files)
