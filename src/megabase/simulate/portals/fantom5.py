"""FANTOM5: directories of CTSS files whose names are percent-encoded on disk; sample sheets (data reference 1.2)."""

from __future__ import annotations

import urllib.parse

from megabase.simulate.catalog import Catalogue, Entry
from megabase.simulate.portals.tree import Tree

RELEASES = ("latest", "v9")
"""Directories of the same files: the first moves from release to release, the other is what one pins."""
ONTOLOGY = "/latest/extra/Ontology/ff-phase2-170801.obo.txt"
_SHEET = (
    *("Source Name", "Characteristics [description]", "Characteristics [catalog_id]", "Characteristics [Category]"),
    *(
        "Characteristics [ff_ontology]",
        "Extract Name",
        "Comment [RNA_tube]",
        "Material Type",
        "Library Name",
        "File Name",
    ),
)


class Fantom5(Tree):
    """The tree below `5/datafiles`."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue, "fantom5", listed=True)
        entries = catalogue.of("fantom5")
        sheets: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            for release in RELEASES:
                folder = f"/reprocessed/{entry['assembly']}_{release}/basic/{entry['directory']}"
                self.files[f"{folder}/{entry['name']}"] = catalogue.path(entry)
                sheets.setdefault((folder, f"00_{entry['directory']}.{entry['assembly']}"), []).append(entry)
        for (folder, name), listed in sheets.items():
            self.files[f"{folder}/{name}.assay_sdrf.txt"] = _sheet(listed)
        self.files[ONTOLOGY] = _ontology(entries)


def _sheet(entries: list[Entry]) -> str:
    """The sample sheet of a directory: one row for each library."""
    rows = [
        (
            *(entry["ff_id"], entry["sample"], f"{entry['library']}_{entry['ff_id']}", entry["category"]),
            *(f"FF:{entry['ff_id']}", f"{entry['sample']} RNA", entry["ff_id"], "RNA", entry["library"]),
            urllib.parse.unquote(str(entry["name"])),
        )
        for entry in entries
    ]
    return "".join("\t".join(map(str, row)) + "\n" for row in [_SHEET, *rows])


def _ontology(entries: list[Entry]) -> str:
    """The sample ontology: each sample is a kind of the term that says what it was taken from."""
    terms = {str(entry["ff_id"]): entry for entry in entries}
    stanzas = [
        f"[Term]\nid: FF:{ff_id}\nname: {entry['sample']}\nnamespace: FANTOM5\n"
        f"is_a: FF:0000101 ! sample by {entry['category']}\nis_a: {entry['term_id']} ! {entry['term_name']}\n"
        for ff_id, entry in sorted(terms.items())
    ]
    sources = {str(entry["term_id"]): str(entry["term_name"]) for entry in entries}
    stanzas += [f"[Term]\nid: {term}\nname: {name}\n" for term, name in sorted(sources.items())]
    return "format-version: 1.2\ndefault-namespace: FANTOM5\n\n" + "\n".join(stanzas)
