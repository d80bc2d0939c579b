"""A stand-in for demucs 4.1: see ``api``."""
