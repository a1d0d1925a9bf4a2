"""The files of a cohort that was never sequenced: what the workflow makes of each sample, of as many as wanted."""

from pathlib import Path

import numpy as np
from bams3.cohort.matrix import Measure, write_matrices
from bams3.cohort.qc import write_qc
from bams3.cohort.regions import write_bins, write_regions

HUMAN = [248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422,
         135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167,
         46709983, 50818468, 156040895, 57227415]  # fmt: skip
NAMES = [f"chr{name}" for name in (*range(1, 23), "X", "Y")]
THRESHOLDS = (1, 10, 20, 30)
LIMITS = {"mean_coverage": {"min": 20}}


def make_cohort(
    folder: Path, samples: int, *, scale: int = 1, regions: int = 4_000_000
) -> dict[str, dict[str, str]]:
    """Matrices (mean, genome), `samples.tsv` and the files of each sample, which are returned by name and kind.

    Chromosomes are human, divided by `scale`. S0003 is shallow (it fails), S0005 has a duplicated arm (an outlier),
    the others are like one another; every second one is male.
    """
    rng = np.random.default_rng(1)
    contigs = [(name, length // scale) for name, length in zip(NAMES, HUMAN, strict=True)]
    write_regions(str(folder / "regions.bed"), regions // scale, contigs)
    write_bins(str(folder / "genome.bed"), contigs)
    names = [f"S{number + 1:04d}" for number in range(samples)]
    places = {kind: _places(folder / f"{kind}.bed") for kind in ("regions", "genome")}
    mappable = {kind: rng.normal(1, 0.06, len(rows)).clip(0.2) for kind, rows in places.items()}
    files = {}
    for number, name in enumerate(names):
        mean = 12.0 if number == 2 else rng.uniform(28, 36)
        files[name] = _sample(
            folder, name, mean, number % 2 == 1, number == 4, places, mappable, contigs, rng
        )
    write_matrices(folder, folder / "regions.bed", files, {"mean": Measure("mean")})
    write_matrices(folder, folder / "genome.bed", files, {"genome": Measure("genome")})
    write_qc(folder / "samples", files, folder / "genome.parquet", THRESHOLDS, limits=LIMITS)
    return files


def _places(path: Path) -> list[tuple[str, int, int, str]]:
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return [(contig, int(start), int(end), name) for contig, start, end, name in rows]


def _sample(folder, name, mean, male, duplicated, places, mappable, contigs, rng) -> dict[str, str]:
    def depth(kind: str) -> np.ndarray:
        ploidy = [
            {"chrX": 0.5 if male else 1, "chrY": 0.5 if male else 0}.get(contig, 1)
            * (1.5 if duplicated and contig == "chr8" and start > contigs[7][1] // 2 else 1)
            for contig, start, _, _ in places[kind]
        ]
        return mean * mappable[kind] * np.array(ploidy) * rng.normal(1, 0.03, len(ploidy)).clip(0)

    texts = {}
    for kind, file in (("regions", "mean"), ("genome", "genome")):
        rows = zip(places[kind], depth(kind), strict=True)
        texts[file] = "".join(f"{c}\t{s}\t{e}\t{n}\t{value:.2f}\n" for (c, s, e, n), value in rows)
    reads = int(mean * 2e7)
    doubles = int(reads * rng.uniform(0.07, 0.09))
    mapped = int(reads * rng.uniform(0.994, 0.996))
    texts["flagstat"] = (
        f"{reads} + 0 primary\n{doubles} + 0 primary duplicates\n{mapped} + 0 primary mapped (99% : N/A)\n"
        f"{reads} + 0 paired in sequencing\n{mapped} + 0 properly paired (98% : N/A)\n"
    )
    texts["stats"] = (
        f"SN\treads mapped:\t{mapped}\nSN\treads MQ0:\t{int(0.03 * mapped)}\t# mapped and MQ=0\n"
        f"SN\tinsert size average:\t{rng.uniform(390, 410):.1f}\nSN\tinsert size standard deviation:\t90.0\n"
        f"SN\tinward oriented pairs:\t{mapped}\nSN\toutward oriented pairs:\t0\nMAPQ\t0\t3\nMAPQ\t60\t97\n"
    )
    dose = {"chrX": 0.5 if male else 1, "chrY": 0.5 if male else 0.001}
    lines = [(contig, length, int(length * mean * dose.get(contig, 1))) for contig, length in contigs]
    lines.append(("total", sum(line[1] for line in lines), sum(line[2] for line in lines)))
    texts["summary"] = "chrom\tlength\tbases\tmean\tmin\tmax\n" + "".join(
        f"{contig}\t{length}\t{bases}\t{bases / length:.2f}\t0\t300\n" for contig, length, bases in lines
    )
    shares = 1 / (1 + np.exp((np.arange(100) - mean) / (0.12 * mean)))
    texts["dist"] = "".join(f"total\t{depth}\t{shares[depth]:.2f}\n" for depth in range(99, -1, -1))
    found = {}
    for kind, text in texts.items():
        path = folder / f"{name}.{kind}"
        path.write_text(text)
        found[kind] = str(path)
    return found
