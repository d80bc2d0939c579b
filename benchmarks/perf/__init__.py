"""Ours beside each peer, in one run, as ratios: `python -m benchmarks.perf.NAME`."""
