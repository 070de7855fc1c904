"""The page names the tracks that fail a check, and counts those of the release that are missing."""

from __future__ import annotations

from pathlib import Path

import finished_run
import pytest

from megabase.report import page

HEADER = "bundle\ttrack\tstrand\ttrack_id\ttotal\tzeros\tnonzero_mean\treleased_mean\tmissing\tempty\tsense\tfails\n"
ROWS = (
    "DNASE\topen <liver>\t.\tt0\t9e7\t0.9\t1.5\t1.4\t0\tchrY\t\tthe total is 9e+07, not 1e+08\n"
    "DNASE\topen brain\t.\tt1\t1e8\t0.8\t1.2\t1.3\t0\t\t\t\n"
    "CAGE\tcaps\t+\tt2\t1e8\t0.99\t9\t\t0\t\t0.9\t\n"
)
COMPARED = (
    "output_type\tstatus\treleased\ttrack\nDNASE\tfound\ta\tb\nDNASE\tmissing\tc\t\n"
    "DNASE\tmissing\td\t\nCAGE\textra\t\te (+)\n"
)


def test_failing_tracks_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "Reference", finished_run.Genome)
    given = finished_run.write_run(tmp_path / "run")
    (tmp_path / "demo.tsv").write_text(HEADER + ROWS)
    (tmp_path / "demo.compared.tsv").write_text(COMPARED)
    page.write_report(
        **given, checks={"demo": tmp_path / "demo.tsv"}, compared={"demo": tmp_path / "demo.compared.tsv"}
    )
    text = given["out"].read_text()
    assert "1 of 3 tracks fail a check" in text and "open &lt;liver&gt;" in text
    assert "the total is 9e+07, not 1e+08" in text
    row = text.split("demo: tracks of the release")[1].split("<tr><td>DNASE</td>")[1].split("</tr>")[0]
    assert [cell.split("<")[0] for cell in row.split(">") if cell[:1].isdigit()] == ["3", "1", "2", "0"]
    assert "over the release&#39;s" in text and "<svg" in text.split("demo: checks")[1]


def test_a_run_in_which_all_pass_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "Reference", finished_run.Genome)
    given = finished_run.write_run(tmp_path / "run")
    (tmp_path / "demo.tsv").write_text(HEADER + ROWS.splitlines()[1] + "\n")
    page.write_report(**given, checks={"demo": tmp_path / "demo.tsv"})
    assert "All 1 tracks pass: totals, chromosomes, strands." in given["out"].read_text()
