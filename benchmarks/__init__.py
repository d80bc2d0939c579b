"""The harness of sepbench: from a clip to an estimate, to a row, to a report."""

__version__ = "0.1.0"
