"""Use cases: what the command line and the page call. No SQL, no files, no terminal."""
