"""`.venv/bin/python -m pytest bench`: lets the tests import the benchmark's modules as its program does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
