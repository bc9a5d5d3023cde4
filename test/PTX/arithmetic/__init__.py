"""What every lane-wise instruction means, by exact arithmetic of Python."""
