"""Known vulnerabilities of everything that is locked, as the Python Packaging Advisory Database has them.

Use: make audit                          every lock
     make audit ARGS="--vulnerability-service osv"     what pip-audit takes besides
"""

import subprocess
import sys

from sbom import ROOT, locks


def main() -> None:
    failed = False
    for lock in locks():
        print(f"{lock.relative_to(ROOT)}:", flush=True)
        # Strict: a part that nothing could be found out about is a failure, not a pass.
        line = [sys.executable, "-m", "pip_audit", "--strict", "--require-hashes", "--disable-pip", "-r", str(lock)]
        line += sys.argv[1:]
        failed |= subprocess.run(line, check=False).returncode != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
