"""The Python interface: datasets, stand-alone chunks, and columns for NumPy, Arrow and Spark."""
