"""Runs a kit of kernels on a device; needs the driver and NumPy alone."""
