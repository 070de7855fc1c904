"""GTEx's own table of junction counts, all samples in one file, with the attributes that say which are of a tissue.

An open stand-in, like recount3's tables, for alignments under controlled access (data reference 1.3). Addresses and
columns are not checked against the live bucket.
"""

from __future__ import annotations

import base64
import collections
import csv
import re

from megabase.portals.answers import Asked, Found, check_complete, wanted
from megabase.portals.naming import GTEX_ASSAY
from megabase.portals.recount3 import FREEZE, term

JUNCTIONS = "bulk-gex/v8/rna-seq/GTEx_Analysis_2017-06-05_v8_STARv2.5.3a_junctions.gct.gz"
ATTRIBUTES = "annotations/v8/metadata-files/GTEx_Analysis_v8_Annotations_SampleAttributesDS.txt"


def ask(asked: Asked) -> list[Found]:
    """The table once for every tissue, with the samples of it that count."""
    dropped: collections.Counter[str] = collections.Counter()
    tissues: dict[tuple[str, str], list[str]] = {}
    text = asked.web.content(asked.url(ATTRIBUTES)).decode()
    for row in csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        sample, name = row["SAMPID"], row["SMTSD"]
        if asked.query.baseline and row.get("SMAFRZE") != FREEZE:
            dropped[f"SMAFRZE is not {FREEZE}"] += 1
            continue
        curie = asked.query.curies.get(name) or term(row.get("SMUBRID") or "")
        if sample not in asked.query.without and wanted(name, curie, asked.query):
            tissues.setdefault((name, curie), []).append(sample)
    headers = asked.web.head(asked.url(JUNCTIONS)) if tissues and asked.query.sizes else {}
    hashed = re.search(r"md5=([A-Za-z0-9+/=]+)", headers.get("x-goog-hash", ""))
    found = [
        Found(
            file=JUNCTIONS.rsplit("/", 1)[-1],
            format="gct",
            reading="junction_table",
            url=JUNCTIONS,
            strand=".",
            biosample=name,
            ontology_curie=curie,
            assay=GTEX_ASSAY,
            data_source="gtex",
            accession="GTEx v8 junctions",
            samples=",".join(samples),
            bytes=headers.get("Content-Length", ""),
            md5=base64.b64decode(hashed[1]).hex() if hashed else "",
            etag=headers.get("ETag", "").strip('"'),
            asked=ATTRIBUTES,
        )
        for (name, curie), samples in tissues.items()
    ]
    check_complete(found, asked, dropped)
    return found
