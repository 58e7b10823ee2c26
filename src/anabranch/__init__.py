"""Anabranch: a virtual data environment for every git branch."""

__version__ = "0.1.0"
