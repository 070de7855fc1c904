"""Pictures of held-out windows: what was observed above what was predicted, with the genes, drawn by `alphagenome`."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from alphagenome.data import genome, track_data, transcript
from alphagenome.visualization import plot_components

_LABEL = 36
_OBSERVED, _PREDICTED = "#5b6470", "#1f77b4"
STYLE: dict[Any, Any] = {"font.size": 9, "axes.edgecolor": "#888888"}


class Locus(NamedTuple):
    """One window and its pictures, as PNG data URIs."""

    place: str
    tracks: str
    maps: list[tuple[str, str]]
    """(track, picture) of each contact map."""


def draw_loci(
    archive: Mapping[str, np.ndarray],
    organism: str,
    genes: pd.DataFrame,
    exons: pd.DataFrame,
    *,
    loci: int,
    tracks_per_locus: int,
) -> list[Locus]:
    """The first `loci` windows that an evaluation kept of an organism (`loci.npz`), with tracks of every bundle."""
    places = json.loads(str(archive[f"{organism}/loci"]))[:loci]
    tracks = json.loads(str(archive[f"{organism}/tracks"]))
    drawn = []
    with matplotlib.rc_context(STYLE):
        for rank, place in enumerate(places):
            interval = genome.Interval(place["chrom"], place["start"], place["end"])
            shown = _chosen({name: rows for name, rows in tracks.items() if name != "CONTACT_MAPS"}, tracks_per_locus)
            maps = [
                (str(row["track"]), _map_picture(archive, f"{organism}/{rank}/CONTACT_MAPS", column))
                for column, row in enumerate(tracks.get("CONTACT_MAPS", [])[:tracks_per_locus])
            ]
            components: list[Any] = []
            if here := transcripts(genes, exons, interval):
                components.append(plot_components.TranscriptAnnotation(here, fig_height=0.8))
            components += [_pair(archive, f"{organism}/{rank}", *which, interval) for which in shown]
            text = f"{place['chrom']}:{place['start']:,}-{place['end']:,}"
            drawn.append(Locus(text, track_picture(components, interval), maps))
    return drawn


def transcripts(genes: pd.DataFrame, exons: pd.DataFrame, interval: genome.Interval) -> list[transcript.Transcript]:
    """The genes in the interval, each as its transcript with the most exon bases."""
    inside = genes[
        (genes["chrom"] == interval.chromosome) & (genes["start"] < interval.end) & (genes["end"] > interval.start)
    ]
    parts = {gene: rows for gene, rows in exons[exons["gene_id"].isin(inside["gene_id"])].groupby("gene_id")}
    found = []
    for gene in inside.itertuples():
        rows = parts.get(gene.gene_id)
        if rows is None:
            rows = pd.DataFrame([{"start": gene.start, "end": gene.end, "transcript_id": gene.gene_id}])
        lengths = (rows["end"] - rows["start"]).groupby(rows["transcript_id"]).sum()
        rows = rows[rows["transcript_id"] == lengths.idxmax()].sort_values("start")
        pieces = [
            genome.Interval(str(gene.chrom), int(start), int(end), str(gene.strand))
            for start, end in zip(rows["start"], rows["end"], strict=True)
        ]
        name = gene.gene_name if isinstance(gene.gene_name, str) and gene.gene_name else gene.gene_id
        info = {"gene_name": plain(str(name))}
        found.append(
            transcript.Transcript(exons=pieces, transcript_id=str(gene.gene_id), gene_id=str(gene.gene_id), info=info)
        )
    return found


def _chosen(tracks: Mapping[str, list[dict[str, str]]], count: int) -> list[tuple[str, int, str]]:
    """(bundle, column, label) of up to `count` tracks: one of each bundle before a second of any, in bundle order."""
    rounds = sorted((column, order) for order, rows in enumerate(tracks.values()) for column in range(len(rows)))
    names = list(tracks)
    chosen = sorted((order, column) for column, order in rounds[:count])
    return [(names[order], column, _label(names[order], tracks[names[order]][column])) for order, column in chosen]


def _label(bundle: str, row: Mapping[str, str]) -> str:
    strand = "" if row["strand"] == "." else f" ({row['strand']})"
    text = f"{bundle}  {row['track']}{strand}"
    return plain(text if len(text) <= _LABEL else text[: _LABEL - 1] + "…")


def _pair(
    archive: Mapping[str, np.ndarray], place: str, bundle: str, column: int, label: str, interval: genome.Interval
) -> plot_components.Tracks:
    """Observed above predicted, on one scale."""
    pair = [archive[f"{place}/{bundle}/{kind}"][:, column] for kind in ("observed", "predicted")]
    metadata = pd.DataFrame({"name": ["observed", "predicted"], "strand": ".", "label": [label, "predicted"]})
    values = np.maximum(np.stack(pair, axis=1), 0).astype(np.float32)
    data = track_data.TrackData(
        values, metadata=metadata, resolution=int(archive[f"{place}/{bundle}/bin"]), interval=interval
    )
    return plot_components.Tracks(
        data,
        filled=True,
        shared_y_scale=True,
        global_ylims=(0.0, max(float(values.max()), 1e-6)),
        track_height=0.5,
        ylabel_template="{label}",
        track_colors=[_OBSERVED, _PREDICTED],
        linewidth=0,
    )


def track_picture(components: list[Any], interval: genome.Interval, variant: genome.Variant | None = None) -> str:
    """Tracks and genes above each other, as a PNG data URI; a line where the variant is."""
    return png(track_figure(components, interval, variant))


def track_figure(components: list[Any], interval: genome.Interval, variant: genome.Variant | None = None) -> Any:
    """The same as a figure."""
    notes = [plot_components.VariantAnnotation([variant], use_default_labels=False)] if variant else None
    label = f"{interval.chromosome} (bp)"
    figure = plot_components.plot(components, interval, fig_width=12, hspace=0.25, xlabel=label, annotations=notes)
    for axis in figure.axes:
        if legend := axis.get_legend():  # it would hide the tracks, and the page says what the colours are
            legend.remove()
        axis.locator_params(axis="y", nbins=2)
        axis.yaxis.label.set_fontsize(8)
        axis.tick_params(axis="y", labelsize=7)
    figure.axes[-1].xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    return figure


def _map_picture(archive: Mapping[str, np.ndarray], place: str, column: int) -> str:
    maps = [archive[f"{place}/{kind}"][..., column] for kind in ("observed", "predicted")]
    known = np.abs(np.concatenate([one[np.isfinite(one)] for one in maps]))
    reach = float(np.quantile(known, 0.98)) if len(known) else 1.0
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2), layout="constrained")
    for axis, values, title in zip(axes, maps, ("observed", "predicted"), strict=True):
        picture = axis.imshow(values, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
        axis.set(title=title, xticks=[], yticks=[])
    figure.colorbar(picture, ax=axes, label="log observed / expected", shrink=0.8)
    return png(figure)


def plain(text: str) -> str:
    """A name as it is: no dollar sign of it starts a formula."""
    return text.replace("$", r"\$")


def png(figure: Any) -> str:
    """A figure as a data URI; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
