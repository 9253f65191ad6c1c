"""``python -m steno``: the command line."""

from steno.cli import main

main()
