"""``python -m mailstore_http``."""

from mailstore_http.main import main

main()
