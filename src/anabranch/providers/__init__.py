"""Providers: kinds of asset, each obeying one protocol. Independent of each other."""
