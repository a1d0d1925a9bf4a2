"""Row groups that a filter expression skips by their zone maps."""

import random
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from bams3.select.filters import Expression
from expressions import random_expression


def test_long_chains():
    text = " || ".join(f"mapq == {number}" for number in range(5000))
    expression = Expression(text)
    assert expression.evaluate({"mapq": np.array([1, 4999, 5000])}, 3).tolist() == [True, True, False]
    assert not expression.may_match(Zone(5000, 6000, 0, 0, 0, 0))


def test_parsing_and_zones_need_no_numpy():
    program = (
        "import sys; from types import SimpleNamespace as Zone; from bams3.select import filters\n"
        "filters.Expression('mapq > 3').may_match(Zone(min_mapq=0, max_mapq=0))\n"
        "sys.exit('numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


class Zone(NamedTuple):
    min_mapq: int
    max_mapq: int
    min_pos: int
    max_pos: int
    flags_any: int
    flags_all: int


ZONE = Zone(min_mapq=10, max_mapq=40, min_pos=999, max_pos=1999, flags_any=0x53, flags_all=0x3)


SKIPPED = """
0
mapq > 40
mapq >= 41
mapq < 10
mapq == 9
30 < mapq && mapq > 40
41 <= mapq
!mapq
!(mapq < 50)
flag.dup
flag & 0x400
!flag.paired
(flag & 3) != 3
(flag & 0xf00) == 0x100
flag == 4
flag.dup && [NM] < 5
[NM] < 5 && flag.dup
~1 == mapq && flag.dup
flag.dup || mapq > 50
!(flag.paired || [NM])
pos < 1000
pos > 2000
pos - 1 > 2000
-pos > -1000
endpos < 1000
pos == 5 && qname =~ "a"
""".strip().splitlines()

READ = """
1
"x"
mapq > 39
mapq <= 10
mapq == 25
flag.reverse
!flag.reverse
flag == 0x43
flag & ~1
pos == 1000
pos == 2000
endpos > 9999
[NM]
![NM]
[NM] > 3 || flag.dup
!(mapq > [NM])
!0.5
mapq * 0 == 0
default([NM], mapq) > 50
nan || mapq
rlen > 5 || mapq > 50
""".strip().splitlines()


@pytest.mark.parametrize(("text", "may"), [(text, text in READ) for text in SKIPPED + READ])
def test_zone(text, may):
    assert Expression(text).may_match(ZONE) == may


def test_no_zone_with_a_match_is_skipped():
    draw = random.Random(3)
    fields = ["mapq", "pos", "flag", "flag.dup", "flag.paired", "endpos"]
    skipped = 0
    for seed in range(1500):
        n = draw.randrange(1, 5)
        bases = {"mapq": draw.randrange(60), "pos": draw.randrange(1000)}
        columns = {
            name: base + np.array([draw.randrange(40) for _ in range(n)]) for name, base in bases.items()
        }
        columns["endpos"] = columns["pos"] + 3
        columns["flag"] = draw.randrange(4096) ^ np.array([1 << draw.randrange(12) for _ in range(n)])
        extremes = [int(end) for name in bases for end in (columns[name].min(), columns[name].max())]
        bits = [int(combine.reduce(columns["flag"])) for combine in (np.bitwise_or, np.bitwise_and)]
        expression = Expression(random_expression(random.Random(seed), fields, 3))
        may = expression.may_match(Zone(*extremes, *bits))
        skipped += not may
        assert may or not expression.evaluate(columns, n).any(), expression.text
    assert skipped > 50
