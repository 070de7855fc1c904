"""The paper's evaluations: what each is, how it is computed, and what it is compared with."""
