"""One command a file; each module has the command under the name ``command``."""
