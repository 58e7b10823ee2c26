"""Engines: how SQL runs, a package an engine. Independent of each other; imported lazily."""
