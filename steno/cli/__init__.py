"""The command line. Each command parses, calls and prints; what it needs is imported when it runs."""

from steno.cli.app import main

__all__ = ["main"]
