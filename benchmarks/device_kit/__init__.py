"""Prepares a kit that benchmarks/device runs where there is no compiler."""
