"""References: genomes, annotations and polyA tables as files, each folder with its MD5SUMS (data reference 1.5)."""

from __future__ import annotations

from megabase.simulate.catalog import Catalogue
from megabase.simulate.portals.tree import Tree


class References(Tree):
    """One folder for each organism."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue, "references", listed=True)
        sums: dict[str, str] = {}
        for entry in catalogue.of("references"):
            folder, _, name = str(entry["url"]).rpartition("/")
            path = catalogue.path(entry)
            self.files[f"{folder}/{name}"] = path
            sums[folder] = sums.get(folder, "") + f"{catalogue.md5(path)}  {name}\n"
        for folder, lines in sums.items():
            self.files[f"{folder}/MD5SUMS"] = lines
