"""What will it need: whether a model fits its devices."""
