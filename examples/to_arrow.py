"""Columns of the reads of some regions as a Parquet file, for pandas, polars, DuckDB or R. Needs pyarrow.

python to_arrow.py DATASET OUT.parquet REGION...        # for pandas, without a file: table.to_pandas()
"""

import sys

import pyarrow.parquet

import bams3

uri, out, *regions = sys.argv[1:]
fields = ["qname", "flag", "rname", "pos", "endpos", "mapq", "cigar", "tlen", "[NM]", "[RG]"]
table = bams3.open(uri).to_batches(regions, fields, exclude_flags=0x400).read_all()
pyarrow.parquet.write_table(table, out)
print(f"{table.num_rows} reads of {table.num_columns} columns in {out}")
