"""The classic project's entry point, kept as a thin shim: see :mod:`steno.cli.classic`."""

from steno.cli.classic import main

if __name__ == "__main__":
    main()
