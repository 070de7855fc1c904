"""Published sets of variants, from their public sources to one kind of table: a module per family, each with `build`.

What a builder leaves out, turns round or cannot check is counted by reason in the JSON beside the table.
"""
