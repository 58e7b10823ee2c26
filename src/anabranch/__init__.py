"""Anabranch: a virtual data environment for every git branch."""

from anabranch.python import model, signal

__all__ = ["model", "signal"]
__version__ = "0.1.0"
