"""The Python interface: datasets, one chunk with nothing else at hand, columns for NumPy, Arrow and Spark."""
