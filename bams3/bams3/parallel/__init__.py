"""Many at once: threads and executors, what a machine has of cores and memory, uploads."""
