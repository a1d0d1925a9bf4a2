cdef enum:
    SHIFT = 14   # a tile has 2^14 positions, like the smallest bin of BAI
    COLUMNS = 3  # numbers for each tile in a list: the tile, where records start in it, where they reach into it
