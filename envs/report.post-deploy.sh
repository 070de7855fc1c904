#!/usr/bin/env bash
# Written by `make generate` from pyproject.toml and requirements.lock.
set -euo pipefail
python -m pip install --quiet --no-deps --editable .
