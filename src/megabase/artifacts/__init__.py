"""Files that are whole or absent: content hashes, atomic writes, provenance records."""

from megabase.artifacts.atomic import atomic_directory, atomic_path, write_json, write_text
from megabase.artifacts.hashing import canonical_json, digest, file_sha256
from megabase.artifacts.provenance import Provenance, provenance

__all__ = [
    "Provenance",
    "atomic_directory",
    "atomic_path",
    "canonical_json",
    "digest",
    "file_sha256",
    "provenance",
    "write_json",
    "write_text",
]
