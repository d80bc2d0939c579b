"""Separation methods, one file each. Adding a file adds a method; `_name.py` is shared code."""
