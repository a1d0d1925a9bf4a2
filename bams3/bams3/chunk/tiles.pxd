cdef enum:
    SHIFT = 14   # a tile has 2^14 positions, as the smallest bin of BAI
    COLUMNS = 3  # numbers of a tile in a list: itself, where records start in it, where they reach into it
