"""Engines: how SQL runs, one file an engine. Independent of each other; imported lazily."""
