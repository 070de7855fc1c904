"""The network, from DNA to heads."""
