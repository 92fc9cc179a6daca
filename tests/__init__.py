"""Tests. Whoever imports any of them first, it sets what all their processes have in the environment, to save CPU time."""

import os
import sys

# PyMySQL loads the machine's authorities for each connection, though it verifies none: 18 ms. No test needs them.
os.environ |= dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR"), os.devnull)

# Else each worker and each started command would compile everything anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
