"""The run on one page that opens offline."""
