"""Parallel work: threads and executors, the available cores and memory, uploads."""
