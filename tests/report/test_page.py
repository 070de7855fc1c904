"""The page: whole, alone, escaped, and with the numbers of the tables."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from alphagenome.data import genome
from finished_run import NASTY, Genome, add_comparison, add_worlds_parts, write_run

from megabase.report import page
from megabase.report.drawing import Series, line_chart, sparkline, ticks
from megabase.report.loci import transcripts

SECTIONS = ["results", "contacts", "loci", "starts", "training", "splits", "tracks", "files", "run", "config"]


class Elements(HTMLParser):
    """Every start tag with its attributes, and the rows of the tables by section."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: dict[str, list[list[tuple[str, str, str]]]] = {}
        self._section = ""
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "section":
            self._section = attributes["id"] or ""
        rows = self.rows.setdefault(self._section, [])
        if tag == "tr":
            rows.append([])
        self._cell = tag == "td"
        if self._cell:
            rows[-1].append(("", attributes.get("data-value") or "", attributes.get("class") or ""))

    def handle_data(self, data: str) -> None:
        rows = self.rows.get(self._section)
        if self._cell and rows and rows[-1]:
            text, value, style = rows[-1][-1]
            rows[-1][-1] = (text + data.strip(), value, style)

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "tr", "table")


def values(row: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The cells that hold a predictor's value."""
    return [cell for cell in row if "v" in cell[2].split()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def text(run: dict[str, Any]) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "Reference", Genome)
        page.write_report(**run)
    return Path(run["out"]).read_text()


@pytest.fixture(scope="module")
def elements(text: str) -> Elements:
    return Elements(text)


def test_nothing_is_loaded_from_elsewhere(text: str, elements: Elements) -> None:
    for tag, attributes in elements.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed"), tag
        for name in ("src", "href", "xlink:href", "srcset", "data", "poster"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("#", "data:image/png;base64,")), (tag, value[:80])
    assert not re.search(r"url\(|@import", text)


def test_every_section_is_there_and_in_the_contents(elements: Elements) -> None:
    assert [attributes["id"] for tag, attributes in elements.tags if tag == "section"] == SECTIONS
    links = [attributes["href"] for tag, attributes in elements.tags if tag == "a"]
    assert links == [f"#{name}" for name in SECTIONS]


def test_every_heading_says_how_to_read_what_follows(text: str) -> None:
    headings = re.findall(r"</h2>\s*(<p class=\"how\">)?", text)
    assert len(headings) == len(SECTIONS)
    assert all(headings)


def test_the_table_has_the_numbers_of_the_summary(run: dict[str, Any], elements: Elements) -> None:
    summary = pd.read_csv(run["summary"], sep="\t")
    summary = summary[summary["output_type"] != "ALL"]
    shown = [row for row in elements.rows["results"] if row and row[0][0].startswith("fold_")]
    assert len(shown) == len(summary)
    ordered = pd.concat([summary[summary["metric"] == "pearson"], summary[summary["metric"] != "pearson"]])
    columns = ["value", "track_mean", "local_gc", "ridge", "distance", "gt_ag", "oracle"]
    for cells, (_, expected) in zip(shown, ordered.iterrows(), strict=True):
        assert [cell[0] for cell in cells[1:4]] == [
            expected["organism"],
            expected["output_type"],
            str(expected["resolution"]),
        ]
        for (seen, exact, _), column in zip(values(cells), columns, strict=True):
            if pd.isna(expected[column]):
                assert (seen, exact) == ("–", "")
            else:
                assert float(exact) == expected[column]
                assert float(seen.replace(",", "")) == pytest.approx(expected[column], rel=0.02, abs=6e-4)


def test_the_winner_is_marked_and_the_oracle_never_is(elements: Elements) -> None:
    best = {}
    for row in elements.rows["results"]:
        if row and row[0][0] == "fold_0":
            marked = [number for number, (_, _, style) in enumerate(values(row)) if "best" in style]
            assert len(marked) == 1
            best[row[2][0], row[3][0], row[4][0]] = marked[0]
    assert best["DNASE", "128", "Pearson r"] == 0
    assert best["CAGE", "128", "Pearson r"] == 3, "the ridge is better"
    assert best["DNASE", "128", "mse ↓"] == 3, "the ridge's error is lower"
    assert best["CONTACT_MAPS", "2048", "Pearson r"] == 0


def test_the_first_table_is_one_row_per_output_type(elements: Elements) -> None:
    rows = {row[1][0]: row for row in elements.rows["results"] if len(row) == 9 and row[0][0] == "demo"}
    assert list(rows) == ["DNASE", "CAGE", "CONTACT_MAPS"]
    dnase = [cell[0] for cell in rows["DNASE"][2:]]
    assert dnase == ["Pearson r, 128 bp", "0.712", "0.612 to 0.812", "0.000", "0.250", "0.850", "84 %"]
    assert [cell[0] for cell in rows["CONTACT_MAPS"][3:]] == ["0.350", "–", "0.000", "0.100", "–", "–"]
    assert "best" in rows["CAGE"][3][2], "it beats a constant and GC content, if not the ridge"


def test_a_world_has_splicing_variants_and_a_student(run: dict[str, Any], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "Reference", Genome)
        page.write_report(**{**add_worlds_parts(run, tmp_path), "out": tmp_path / "world.html"})
    text = (tmp_path / "world.html").read_text()
    found = Elements(text)
    ids = [attributes["id"] for tag, attributes in found.tags if tag == "section"]
    assert ids == ["results", "splicing", "contacts", "variants", "ablations", "students", *SECTIONS[2:]]
    assert [attributes["href"] for tag, attributes in found.tags if tag == "a"] == [f"#{name}" for name in ids]
    assert [row[2][0] for row in found.rows["splicing"] if row] == [
        "SPLICE_SITES",
        "SPLICE_SITE_USAGE",
        "SPLICE_JUNCTIONS",
    ]
    variants = [[cell[0] for cell in row] for row in found.rows["variants"] if row]
    assert variants[0][:6] == ["demo", "accessibility", "DNASE", "20", "control", "21"]
    assert [row[6][:5] for row in variants] == ["0.900", "0.900", "0.800", "0.800"], "the student comes first"
    assert variants[1][7] == "–", "no sign without signed scores"
    assert text.count('class="dot"') == 2 + 2 + 1, "of variants, and of each ablation by output type"
    students = [[cell[0] for cell in row] for row in found.rows["students"] if row]
    assert [row[-1] for row in students] == ["ahead", "level", "ahead", "level", "level"]
    assert students[0][-2] == "3: 0.070 to 0.120", "the least and the most of three seeds"
    ablations = [[cell[0] for cell in row] for row in found.rows["ablations"] if row]
    assert ablations[0] == [
        "demo", "DNASE", "Pearson r", "1", "3", "0.500", "0.700", "-0.200", "-0.220 to -0.180", "behind",
    ]  # fmt: skip
    assert [row[-1] for row in ablations] == ["behind", "level", "behind", "ahead", "–"]
    assert ablations[-1][-2:] == ["–", "–"], "one track has no interval"


def test_the_paper_and_the_run_stand_side_by_side(
    run: dict[str, Any], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "Reference", Genome)
    page.write_report(**{**run, "comparison": add_comparison(tmp_path), "out": tmp_path / "page.html"})
    made = (tmp_path / "page.html").read_text()
    found = Elements(made)
    assert "#benchmarks" in made and made.count("<strong>demo</strong>") == 2 and "<strong>Demo rows.</strong>" in made
    rows = [row for row in found.rows["benchmarks"] if row]
    cage = next(row for row in rows if row[0][0] == "T6 CAGE")
    assert [cell[0] for cell in cage[2:5]] == ["0.740", "Borzoi 0.710", "+4.2 %"]
    assert cage[8][1] == "0.61" and cage[9][0] == "local gc 0.200" and cage[10][0] == "+205.0 %"
    lost = next(row for row in rows if row[0][0] == f"T9 {NASTY}")
    assert lost[9][0] == "gc 0.400" and lost[10][0] == "-25.0 %"
    unknown = next(row for row in rows if row[0][0] == "T24 Not known")
    assert unknown[-1][0] == "missing: everything"
    bars = [attributes for tag, attributes in found.tags if tag == "rect" and "bar" in str(attributes["class"])]
    assert [bar["class"] for bar in bars] == ["bar paper", "bar demo", "bar demo"]
    assert float(bars[0]["width"] or 0) < float(bars[1]["width"] or 0), "beyond the limit it is cut, and still longer"
    assert 'id="benchmarks"' not in text, "a run without tables has no such section"


def test_names_are_escaped(text: str, elements: Elements) -> None:
    assert "<script" not in text
    assert html.escape(NASTY, quote=False).split("'")[0] in text
    assert any(cell[0] == NASTY for row in elements.rows["tracks"] for cell in row)


def test_files_have_sizes_and_checksums(run: dict[str, Any], text: str, elements: Elements) -> None:
    table = pd.read_csv(run["manifests"]["demo"][0], sep="\t", dtype={"sha256": str})
    rows = [row for row in elements.rows["files"] if row]
    assert [int(row[6][1]) for row in rows] == list(table["bytes"])
    assert all(f'title="{checksum}"' in text for checksum in table["sha256"])


def test_pictures_are_there(text: str, elements: Elements) -> None:
    pictures = [attributes["src"] for tag, attributes in elements.tags if tag == "img"]
    assert len(pictures) == 4, "two windows and a contact map of each"
    assert all(len(picture or "") > 5000 for picture in pictures)
    assert text.count('class="spark"') == 5
    assert text.count('class="line valid"') == 1


def test_a_demo_is_marked_and_real_data_is_not(run: dict[str, Any], text: str, tmp_path: Path) -> None:
    assert "Demo run." in text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "Reference", Genome)
        config = {key: value for key, value in run["config"].items() if key != "world"} | {"report": {"loci": 1}}
        page.write_report(**{**run, "config": config, "out": tmp_path / "real.html"})
    assert "Demo run." not in (tmp_path / "real.html").read_text()


def test_timings_are_added_up_by_step(elements: Elements) -> None:
    rows = {row[0][0]: [cell[0] for cell in row[1:]] for row in elements.rows["run"] if row}
    assert rows["build signal"] == ["2", "8.4 s", "5.0 s", "812.5 MB"]
    assert rows["train model"][1] == "4 min 14 s"


def test_the_longest_transcript_of_each_gene_is_drawn() -> None:
    found = transcripts(Genome().genes(), Genome().exons(), genome.Interval("chr2", 0, 16384))
    assert [(one.transcript_interval.start, one.transcript_interval.end, len(one.exons)) for one in found] == [
        (2000, 7000, 2),
        (9000, 12000, 1),
    ]
    assert not transcripts(Genome().genes(), Genome().exons(), genome.Interval("chr1", 0, 16384))


def test_charts_hold_gaps_and_constants() -> None:
    broken = line_chart([Series("a", [0, 1, 2], [1.0, float("nan"), 3.0], "model")], title="t", x_label="x")
    assert broken.count("M") == 2
    assert line_chart([Series("a", [0, 1], [2.0, 2.0], "model")], title="t", x_label="x")
    assert line_chart([Series("a", [0], [float("nan")], "model")], title="t", x_label="x") == ""
    assert "&lt;b&gt;" in line_chart([Series("a", [0, 1], [1, 2], "model")], title="<b>", x_label="<b>")
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert "polygon" in sparkline(pd.Series([0.0, float("nan"), 3.0]).to_numpy())
