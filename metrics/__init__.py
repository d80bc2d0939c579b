"""Metrics and judges, one file each. Adding a file adds them; `_name.py` is shared code."""
