"""Who is who: what samples share at common sites, their sex, their contamination, and whether a sheet agrees."""
