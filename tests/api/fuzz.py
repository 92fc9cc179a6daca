"""Run schemathesis against a running service on a store of its own: ``python -m tests.api.fuzz PROGRAM [EXAMPLES]``.

PROGRAM is the command ``schemathesis``, which is no dependency of the tests: ``make test-api`` installs it beside them. What
it finds ends the run with an error; so does a fault in the service's log, or in the store afterwards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mailstore.passwords import hash_password
from mailstore.tokens import TokenFile
from tests.http.rig import serving, toml
from tests.rigs import on_sqlite
from tests.servers.process import make_directory

CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


def main(program: str, examples: str = "100") -> int:
    """Return the exit code."""
    scratch = make_directory(Path(tempfile.mkdtemp(prefix="mailstore", dir="/tmp")))
    try:
        rig = on_sqlite(scratch, make_directory(scratch / "homes"), (os.getuid(), os.getgid()))
        store = rig.shared
        store.domains.create("example.com")
        store.accounts.create("bob@example.com", password_hash=hash_password("x"))
        text = toml(f'url = "{rig.url}"', scratch / "state", "[http.v1]\n", "threads = 4\n")
        _, token = TokenFile(scratch / "state" / "tokens.json").create("fuzz", access="write")
        with serving(scratch, text) as service:
            code = subprocess.run([
                program, "run", "docs/openapi.json", "--url", f"http://127.0.0.1:{service.port}/v1",
                "--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS), "--max-examples", examples,
                "--workers", "1", "--no-color", "--suppress-health-check", "all", "--seed", "1",
            ]).returncode  # fmt: skip
            service.terminate()
            service.wait()
        faults = [line for line in service.lines if "internal error" in line or "Traceback" in line]
        faults += [str(finding) for finding in store.check() if finding.severity == "error"]
        sys.stderr.writelines(f"{fault}\n" for fault in faults[:20])
        rig.close()
        return code or bool(faults)
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
