"""One variant or interval on a page that opens offline: tracks of both alleles, genes, junctions, contacts, scores."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from alphagenome.data import genome, transcript
from alphagenome.data.track_data import TrackData
from alphagenome.models.dna_output import Output
from alphagenome.visualization import plot_components
from jaxtyping import Float32

import megabase
from megabase.artifacts import write_text
from megabase.report.loci import STYLE, plain, png, track_picture
from megabase.report.page import environment

REF, ALT = "#5b6470", "#d62728"
PER_SCORER = 12
_COLUMNS = 1500
"""Bins across a picture: what its pixels can show."""
_NEAR = 2048
"""Width of the close look, in bp."""
_ARCS = 0.02
"""Junctions with less than this share of the reads of the strongest are not drawn."""
_NUMBERED = 12
"""Arcs that still have room for their numbers of reads."""
_TRACKS = ("dnase", "atac", "cage", "procap", "chip_tf", "chip_histone", "rna_seq", "splice_sites", "splice_site_usage")


def write_page(
    out: Path,
    interval: genome.Interval,
    outputs: Mapping[str, Output],
    transcripts: Sequence[transcript.Transcript],
    facts: Sequence[tuple[str, str]],
    variant: genome.Variant | None = None,
    scores: pd.DataFrame | None = None,
    *,
    tracks: int = 16,
) -> None:
    """Writes one HTML file.

    `outputs`: what REF and ALT predict by those names or, for an interval, REF alone. `transcripts`: to draw. `facts`:
    (name, value) of what made it. `scores`: as `tidy_scores` gives them. `tracks`: so many at most are drawn, one of
    each output type before a second of any; of contact maps and junctions two.
    """
    place = f"{interval.chromosome}:{interval.start:,}-{interval.end:,}"
    title = place if variant is None else str(variant)
    quantiles = scores is not None and "quantile_score" in scores and bool(scores["quantile_score"].notna().any())
    with matplotlib.rc_context(STYLE):
        near = None
        if variant is not None:
            middle = variant.reference_interval.center()
            close = genome.Interval(interval.chromosome, middle - _NEAR // 2, middle + _NEAR // 2)
            if interval.contains(close):
                near = _tracks(outputs, close, transcripts, variant, tracks)
        text = (
            environment()
            .get_template("variant.html.j2")
            .render(
                title=title,
                subtitle=place if variant is None else f"{title} in {place}",
                version=megabase.__version__,
                made=datetime.datetime.now(datetime.UTC).strftime("%d %B %Y, %H:%M UTC"),
                variant=variant,
                wide=_tracks(outputs, interval, transcripts, variant, tracks),
                near=near,
                junctions=_junctions(outputs, interval, transcripts),
                contacts=_contacts(outputs),
                scores=[] if scores is None else score_rows(scores, quantiles),
                quantiles=quantiles,
                per_scorer=PER_SCORER,
                facts=facts,
            )
        )
    write_text(out, text)


def score_rows(tidy: pd.DataFrame, quantiles: bool) -> list[dict[str, Any]]:
    """The largest scores (or quantiles) of each scorer, in the order of the scorers."""
    by = "quantile_score" if quantiles else "raw_score"
    rows = []
    for scorer, own in tidy.groupby(tidy["variant_scorer"].astype(str), sort=False):
        own = own[own["raw_score"].notna()]
        for row in own.loc[own[by].abs().sort_values(ascending=False).index[:PER_SCORER]].to_dict("records"):
            gene = row.get("gene_name")
            rows.append(
                {
                    "scorer": scorer,
                    "output_type": row["output_type"],
                    "gene": gene if isinstance(gene, str) else "",
                    "track": row["track_name"],
                    "strand": row["track_strand"],
                    "score": row["raw_score"],
                    "quantile": row.get("quantile_score"),
                }
            )
    return rows


def binned(data: TrackData, interval: genome.Interval) -> TrackData:
    """The part in the interval, in bins no finer than a picture shows: the largest value of each, so that no peak is
    lost."""
    part = data.slice_by_interval(interval, match_resolution=True)
    values: Float32[np.ndarray, "positions tracks"] = part.values  # noqa: PD011
    together = max(1, -(-len(values) // _COLUMNS))
    if together == 1:
        return part
    filled = np.pad(values, ((0, -len(values) % together), (0, 0)))
    most = filled.reshape(-1, together, values.shape[1]).max(axis=1)
    size = data.resolution * together
    start = part.interval.start
    where = genome.Interval(interval.chromosome, start, start + len(most) * size)
    return TrackData(most, part.metadata, resolution=size, interval=where)


def chosen(output: Output, count: int) -> list[tuple[str, int]]:
    """(output type, track) of up to `count` tracks: one of each before a second of any, in one order of types."""
    there = [(kind, getattr(output, kind)) for kind in _TRACKS]
    widths = {kind: data.num_tracks for kind, data in there if data is not None}
    rounds = sorted((track, order) for order, kind in enumerate(widths) for track in range(widths[kind]))
    names = list(widths)
    return [(names[order], track) for order, track in sorted((o, t) for t, o in rounds[:count])]


def _tracks(
    outputs: Mapping[str, Output],
    interval: genome.Interval,
    transcripts: Sequence[transcript.Transcript],
    variant: genome.Variant | None,
    count: int,
) -> str:
    components: list[Any] = _genes(transcripts, interval)
    for kind, track in chosen(outputs["REF"], count):
        each = {name: _one(getattr(own, kind), track, interval) for name, own in outputs.items()}
        components.append(
            plot_components.OverlaidTracks(
                each,
                colors={"REF": REF, "ALT": ALT} if len(each) > 1 else {"REF": "#1f77b4"},
                track_height=0.6,
                ylabel_template=kind.upper() + "\n{name} {strand}",
                order_tdata_by_mean=False,
                alpha=0.75,
                linewidth=0.9,
            )
        )
    return track_picture(components, interval, variant)


def _one(data: TrackData, track: int, interval: genome.Interval) -> TrackData:
    """One track in the interval, named so that it fits beside its picture."""
    part = binned(data.select_tracks_by_index([track]), interval)
    names = [plain(str(name))[:36] for name in part.metadata["name"]]
    metadata = part.metadata.reset_index(drop=True).assign(name=names)
    return TrackData(part.values, metadata, resolution=part.resolution, interval=part.interval)


def _genes(transcripts: Sequence[transcript.Transcript], interval: genome.Interval) -> list[Any]:
    here = [own for own in transcripts if own.transcript_interval.overlaps(interval)]
    return [plot_components.TranscriptAnnotation(here, fig_height=0.8)] if here else []


def _junctions(
    outputs: Mapping[str, Output], interval: genome.Interval, transcripts: Sequence[transcript.Transcript]
) -> str | None:
    """Arcs of the first tissue, strand by strand, of each allele."""
    components = _genes(transcripts, interval)
    genes = len(components)
    first = outputs["REF"].splice_junctions
    if first is None or not len(first):
        return None
    name = str(first.metadata["name"].iloc[0])
    for allele, output in outputs.items():
        for strand in "+-":
            own = output.splice_junctions.filter_to_strand(strand).filter_by_name(name)
            if len(own) and float(own.values.max()) > 0:  # noqa: PD011
                least = _ARCS * float(own.values.max())  # noqa: PD011
                arcs = plot_components.Sashimi(
                    own,
                    filter_threshold=least,
                    annotate_counts=int((own.values > least).sum()) <= _NUMBERED,  # noqa: PD011
                    ylabel_template=plain(f"{allele} {strand}\n{name}"),
                    color=ALT if allele == "ALT" else REF,
                    rng=np.random.default_rng(0),
                )
                components.append(arcs)
    return track_picture(components, interval) if len(components) > genes else None


def _contacts(outputs: Mapping[str, Output], most: int = 2) -> list[tuple[str, str]]:
    """(track, picture): each allele's map and, where there are two, the difference."""
    first = outputs["REF"].contact_maps
    if first is None:
        return []
    pictures = []
    for track in range(min(most, first.num_tracks)):
        maps = {name: own.contact_maps.values[..., track] for name, own in outputs.items()}  # noqa: PD011
        reach = max(float(np.nanquantile(np.abs(list(maps.values())), 0.98)), 1e-6)
        shown = [(name, values, reach) for name, values in maps.items()]
        if len(maps) > 1:
            change = maps["ALT"] - maps["REF"]
            shown.append(("ALT - REF", change, max(float(np.nanquantile(np.abs(change), 0.98)), 1e-6)))
        figure, axes = plt.subplots(1, len(shown), figsize=(3.4 * len(shown), 3.2), layout="constrained", squeeze=False)
        for axis, (name, values, limit) in zip(axes[0], shown, strict=True):
            drawn = axis.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
            axis.set(title=name, xticks=[], yticks=[])
            figure.colorbar(drawn, ax=axis, shrink=0.8)
        pictures.append((str(first.metadata["name"].iloc[track]), png(figure)))
    return pictures
