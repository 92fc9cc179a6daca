"""``python -m mailstored``."""

from mailstored.main import main

main()
