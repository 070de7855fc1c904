"""What keeps the repository true to its own code: generated files, and the record of stage versions."""
