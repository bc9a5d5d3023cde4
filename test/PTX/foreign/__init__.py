"""Kernels that other compilers translate, each with an answer found by NumPy."""
