#!/bin/sh
# Debian ships Python's venv module as a package of its own; install it if it is missing.
set -eu

if [ "$(id -u)" -eq 0 ]; then as_root=""; else as_root="sudo"; fi
if ! command -v apt-get >/dev/null || { [ -n "$as_root" ] && ! command -v sudo >/dev/null; }; then
    echo "Python's venv module is missing; as root: apt-get install python3-venv" >&2
    exit 1
fi
echo "installing python3-venv"
$as_root apt-get -qq update
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv >/dev/null
