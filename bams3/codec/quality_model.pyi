from array import array

from typing_extensions import Buffer

MAX_VALUES: int

def encode(symbols: Buffer, values: int, l_seq: array, flag: array) -> Buffer: ...
def decode(stored: Buffer, values: Buffer, l_seq: array, flag: array) -> Buffer: ...
