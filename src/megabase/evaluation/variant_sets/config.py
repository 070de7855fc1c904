"""Where the sources of variant sets are."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from megabase.settings import settings

SetName = Literal[
    "clinvar",
    "mfass",
    "eqtl",
    "eqtl_as_listed",
    "eqtl_balanced",
    "eqtl_indel",
    "sqtl",
    "paqtl",
    "ipaqtl",
    "caqtl_african",
    "caqtl_european",
    "caqtl_smc",
    "caqtl_microglia",
    "dsqtl_yoruba",
    "bqtl_spi1",
    "cagi5",
    "cagi5_hg19",
    "e2g",
    "splicing_outliers",
    "traitgym_mendelian",
    "traitgym_complex",
    "tal1",
]
"""The sets that there are builders of; docs/variant_sets.md describes each."""
SETS: tuple[SetName, ...] = get_args(SetName)


@settings
class VariantSource:
    """The files that one set of variants is built from."""

    organism: str = "human"
    """The organism whose reference the alleles are checked against; one of `organisms`."""
    files: dict[str, str] = Field(default_factory=dict)
    """Files by their part in the set (docs/variant_sets.md): a path that starts from `source_root`, or a URL that is
    fetched. Of `folder`, a folder or a tar archive."""
    checksums: dict[str, Annotated[str, Field(pattern=r"^(md5|sha256):[0-9a-f]+$")]] = Field(default_factory=dict)
    """`md5:` or `sha256:` and the hex digits that a fetched file must have, by the same names; without one, the file is
    trusted when it is first fetched, and locked."""
    seed: int = 0
    """Of what is drawn: controls, tissues, random alleles."""

    @model_validator(mode="after")
    def _check(self) -> VariantSource:
        for part in self.checksums:
            if ":" not in self.files.get(part, ""):
                raise ValueError(f"a checksum of `{part}`, which is no file behind a URL")
        return self
