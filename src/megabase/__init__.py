"""Megabase: AlphaGenome from raw data, as one Snakemake DAG."""

__version__ = "0.1.0"
