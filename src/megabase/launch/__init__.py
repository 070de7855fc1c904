"""One training program on many hosts: on this machine, under SLURM, as a JobSet on Kubernetes, on Cloud TPU VMs, or by
a command of your own. A profile chooses (profiles/README.md); rules and results are the same."""
