"""The dataset: its layout, its manifest, its chunk index, its parts, how it is committed, and how it is opened."""
