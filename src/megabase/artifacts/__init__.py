"""Files that are whole or absent: content hashes, atomic writes, provenance records."""

from megabase.artifacts.atomic import atomic_directory, atomic_path, remove_leftovers, write_json, write_text
from megabase.artifacts.hashing import canonical_json, digest, file_sha256
from megabase.artifacts.locations import Location, Url, kvstore, location
from megabase.artifacts.provenance import Provenance, provenance

__all__ = [
    "Location",
    "Provenance",
    "Url",
    "atomic_directory",
    "atomic_path",
    "canonical_json",
    "digest",
    "file_sha256",
    "kvstore",
    "location",
    "provenance",
    "remove_leftovers",
    "write_json",
    "write_text",
]
