"""What `megabase …` does, one module per command. Each imports what it needs only when it runs."""
