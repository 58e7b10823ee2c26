"""The command line: reads arguments, calls :mod:`anabranch.app`, shows what comes of it. No logic."""
