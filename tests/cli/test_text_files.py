"""Text files as editors of other systems write them are read like plain ones."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Run

BED = "#contig\tstart\tend\nchr1\t90\t600000\tgene A\nchr3\t0\t1000\tgene B\n"
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t101\t.\tC\tT\nchr2\t102\t.\tG\tA\n"

READERS: dict[str, tuple[str, str, list[str]]] = {
    "regions": ("x.bed", BED, ["query", "-L", "{file}", "{dataset}"]),
    "counts": ("x.bed", BED, ["count", "--regions", "{file}", "{dataset}"]),
    "bedcov": ("x.bed", BED, ["bedcov", "{file}", "{dataset}"]),
    "coverage": ("x.bed", BED, ["coverage", "-n", "--by", "{file}", "-o", "{here}/c", "{dataset}"]),
    "depth": ("x.bed", BED, ["depth", "-b", "{file}", "{dataset}"]),
    "intervals as sites": ("x.bed", "chr1\t100\t102\n", ["alleles", "--sites", "{file}", "{dataset}"]),
    "VCF": ("x.vcf", VCF, ["alleles", "--sites", "{file}", "{dataset}"]),
    "sites": ("x.tsv", "chr1\t101\tC\tT\nchr2\t102\n", ["alleles", "--sites", "{file}", "{dataset}"]),
}
WRITERS: dict[str, Callable[[bytes], bytes]] = {
    "with a mark of UTF-8": lambda text: b"\xef\xbb\xbf" + text,
    "of Windows": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
    "gzipped": lambda text: gzip.compress(b"\xef\xbb\xbf" + text),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_file_is_read_however_it_was_written(run: Run, dataset: str, tmp_path: Path, reader: str) -> None:
    name, text, words = READERS[reader]
    file, results = tmp_path / name, []
    for written in (bytes, *WRITERS.values()):
        file.write_bytes(written(text.encode()))
        here = {"file": str(file), "dataset": dataset, "here": str(tmp_path)}
        code, out, err = run(*(word.format(**here) for word in words))
        outputs = [gzip.decompress(path.read_bytes()) for path in sorted(tmp_path.glob("c.*.gz"))]
        results.append((code, out, err, outputs))
        assert (code, err) == (0, "")
    assert results[0][1] or results[0][3]
    assert results[1:] == [results[0]] * len(WRITERS)
