"""Audits in SQLMesh's format: how they are called, how they are defined, and those that are built in."""
