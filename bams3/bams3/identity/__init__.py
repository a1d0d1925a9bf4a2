"""Identity of samples: their relationship, sex and contamination at common sites, compared with a sample sheet."""
