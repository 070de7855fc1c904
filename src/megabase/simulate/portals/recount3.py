"""recount3: a tree of coverage, metadata and junctions; nothing is listed, paths are computed (data reference 1.3)."""

from __future__ import annotations

from megabase.simulate.catalog import Catalogue
from megabase.simulate.portals.tree import Tree


class Recount3(Tree):
    """The tree below a recount3 root."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue, "recount3", listed=False)
        for entry in catalogue.of("recount3"):
            project, name = str(entry["project"]), str(entry["path"]).rsplit("/", 1)[-1]
            if entry["kind"] == "coverage":
                # R: substr(sample, nchar(sample) - 3, nchar(sample) - 2), of ids like GTEX-1117F-0226-SM-5GZZ7.1.
                folder = f"base_sums/{project[-2:]}/{project}/{str(entry['sample'])[-4:-2].upper()}"
            else:
                folder = f"{entry['kind']}/{project[-2:]}/{project}"
            self.files[f"/{entry['organism']}/data_sources/gtex/{folder}/{name}"] = catalogue.path(entry)
