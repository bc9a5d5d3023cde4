"""Benchmarks of GPU kernels, ours beside the peer's."""
