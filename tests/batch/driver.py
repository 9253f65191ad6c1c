"""``steno`` with parts of two seconds, so that a small run has many: ``python driver.py batch …``."""

from steno.batch import source
from steno.cli import main

if __name__ == "__main__":
    source.PART_SECONDS = 2.0
    main()
