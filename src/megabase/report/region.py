"""A picture of bigWig files over a region, with the genes: what `megabase predict` wrote, at one look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyBigWig
from alphagenome.data import genome, track_data, transcript
from alphagenome.visualization import plot_components

from megabase.artifacts import atomic_path
from megabase.report.loci import STYLE, plain, track_figure

MOST = 40
"""Tracks in one picture."""
_BINS = 1500


def draw_bigwigs(
    paths: Sequence[Path], region: genome.Interval, transcripts: Sequence[transcript.Transcript], out: Path
) -> Path:
    """Draws the first `MOST` files (named `{head}.{track_id}.bw`) one below the other; gives back `out`.

    `out`: .png or .svg. Each point is the largest value of its bin, so that no peak is lost; bases that a file does not
    have are 0.
    """
    size = max(1, -(-region.width // _BINS))
    bins = region.width // size
    drawn = genome.Interval(region.chromosome, region.start, region.start + bins * size)
    components: list[Any] = (
        [plot_components.TranscriptAnnotation(list(transcripts), fig_height=0.8)] if transcripts else []
    )
    for path in list(paths)[:MOST]:
        with pyBigWig.open(str(path)) as file:
            found = file.stats(region.chromosome, drawn.start, drawn.end, type="max", nBins=bins, exact=True)
        values = np.array([0.0 if value is None else value for value in found], np.float32)[:, None]
        label = plain(path.stem if len(path.stem) <= 44 else f"{path.stem[:43]}…").replace(".", "\n", 1)
        metadata = pd.DataFrame({"name": [path.stem], "strand": ["."], "label": [label]})
        data = track_data.TrackData(values, metadata, resolution=size, interval=drawn)
        components.append(
            plot_components.Tracks(
                data, filled=True, track_height=0.5, ylabel_template="{label}", track_colors=["#1f77b4"], linewidth=0
            )
        )
    kind = out.suffix.removeprefix(".")
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "megabase"}):
        figure = track_figure(components, drawn)
        with atomic_path(out) as partial:
            stamp = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(partial, format=kind, dpi=110, bbox_inches="tight", metadata=stamp)
        plt.close(figure)
    return out
