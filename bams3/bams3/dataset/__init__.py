"""The dataset: its layout, manifest, index of chunks, parts and commit, and how to open it."""
