"""Columns of the reads of some regions as a Parquet file, for pandas, polars, DuckDB or R. Needs pyarrow.

python to_arrow.py DATASET OUT.parquet REGION...        # pandas has it at once: pandas.DataFrame(table)
"""

import sys

import pyarrow.parquet

import bams3

uri, out, *regions = sys.argv[1:]
fields = ["qname", "flag", "rname", "pos", "endpos", "mapq", "cigar", "tlen", "[NM]", "[RG]"]
table = bams3.open(uri).query(regions, fields, exclude_flags=0x400)
pyarrow.parquet.write_table(table.to_arrow(), out)
print(f"{table.records} reads of {len(table)} columns in {out}")
