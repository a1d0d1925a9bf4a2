"""Similarity of the samples' coverage of the genome: normalised profiles, principal components, distances."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bams3.cohort.matrix import read_whole_matrix
from bams3.cohort.regions import is_autosome

COMPONENTS = 3

LEAST_COVERED = 0.25
"""Bins in which the median sample has less than this share of its mean depth are ignored (gaps, repeats)."""


class Profiles(NamedTuple):
    """`components` has shape (samples, up to COMPONENTS). `distance` is that of each sample from the median profile
    (RMS)."""

    components: np.ndarray
    distance: np.ndarray


def read_profiles(genome: str | Path) -> Profiles:
    """Compute profiles from the matrix of genome bins: log2 depth on autosomes, relative to each sample's median."""
    (contigs, *_), values = read_whole_matrix(genome)
    known = set(contigs)
    autosomal = {name for name in known if is_autosome(name, known)}
    return profiles(values[[name in autosomal for name in contigs]])


def profiles(depth: np.ndarray) -> Profiles:
    """Compute profiles from depths, shape (bins, samples)."""
    samples = depth.shape[1]
    middle = np.median(depth, axis=0) if len(depth) else np.zeros(samples)
    relative = depth / np.where(middle > 0, middle, 1)
    relative = relative[np.median(relative, axis=1) >= LEAST_COVERED]
    logs = np.log2(np.maximum(relative, 0.01))
    distance = (
        np.sqrt(np.mean((logs - np.median(logs, axis=1, keepdims=True)) ** 2, axis=0))
        if len(logs)
        else np.zeros(samples)
    )
    number = min(COMPONENTS, samples - 1, len(logs))
    if number < 1:
        return Profiles(np.zeros((samples, 0)), distance)
    _, size, axes = np.linalg.svd(logs - logs.mean(axis=1, keepdims=True), full_matrices=False)
    scores = axes[:number].T * size[:number] / np.sqrt(len(logs))
    # The sign of a component is arbitrary. Making its largest score positive gives the same result in every run.
    greatest = scores[np.abs(scores).argmax(axis=0), range(number)]
    return Profiles(scores * np.where(greatest < 0, -1, 1), distance)
