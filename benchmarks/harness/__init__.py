"""The modules of `benchmarks/run.py`. They import no large packages; `process` explains why."""
