"""What `benchmarks/run.py` is made of. Nothing here imports what is large: see `process`."""
