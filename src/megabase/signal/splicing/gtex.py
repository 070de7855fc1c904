"""GTEx's table of junction counts (GCT): all samples of all tissues in one file, no strands (data reference 1.3)."""

from __future__ import annotations

import gzip
import operator
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from megabase.errors import InputError
from megabase.genome.annotation import unversioned
from megabase.signal.splicing.junctions import PLACE
from megabase.signal.splicing.recount3 import JunctionTable


class GtexTable(JunctionTable):
    """The junctions of the chosen samples. A junction's strand is its gene's; that of an unknown gene is left out."""

    def __init__(
        self,
        path: Path,
        genes: pd.DataFrame,
        sizes: Mapping[str, int],
        aliases: Mapping[str, str],
        chosen: Collection[str] = (),
    ) -> None:
        """`genes` has gene_id and strand; versions of genes do not count.

        Raises InputError for a file that is no such table, lacks a sample, or is of another assembly.
        """
        import scipy.sparse

        strands = dict(zip(genes["gene_id"].map(unversioned), genes["strand"], strict=True))
        places, values, columns, ends = [], list[float](), list[int](), [0]
        lines = _lines(path)
        header = next((fields for fields in lines if fields[:2] == ["Name", "Description"]), None)
        if header is None:
            raise InputError("not a table of junctions (GCT)", where=path, remedy="fetch it again")
        names = header[2:]
        if absent := sorted(set(chosen) - set(names)):
            what = f"no sample {', '.join(absent[:6])}"
            raise InputError(what, where=path, remedy="ask the portal again, or correct the row's `samples`")
        wanted = [number for number, name in enumerate(header) if number > 1 and (not chosen or name in set(chosen))]
        taken = operator.itemgetter(*wanted)
        for fields in lines:
            place = fields[0].rsplit("_", 2)
            if len(fields) != len(header) or len(place) != 3 or not (place[1].isdigit() and place[2].isdigit()):
                raise InputError(f"not a junction: {fields[0]}", where=path, remedy="fetch it again")
            strand = strands.get(unversioned(fields[1]), "?")
            # The table counts from 1 and includes the intron's last base.
            places.append((place[0], int(place[1]) - 1, int(place[2]), strand))
            counts = taken(fields) if len(wanted) > 1 else (taken(fields),)
            for column, count in enumerate(counts):
                if count != "0":
                    values.append(float(count))
                    columns.append(column)
            ends.append(len(values))
        shape = (len(places), len(wanted))
        matrix = scipy.sparse.csr_matrix((values, columns, ends), shape, dtype=np.float64)
        table = pd.DataFrame(places, columns=["chrom", "start", "end", "strand"])
        self._settle(table[PLACE], matrix, path, sizes, aliases)


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
            for line in file:
                yield line.rstrip("\n").split("\t")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot be read: {error}", where=path, remedy="fetch it again") from None
