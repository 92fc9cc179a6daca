#!/bin/sh
# Install a wheel with each of its extras into an environment of its own, and use what came: try-wheel.sh WHEEL
set -eu

wheel=$1
python=${PYTHON:-python3}
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() {
    echo "try-wheel.sh: $*"
}

fresh() {
    rm -rf "$work/venv"
    $python -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install -q --disable-pip-version-check -c "$source/constraints.txt" "$wheel$1"
    "$work/venv/bin/python" -m pip check --disable-pip-version-check >/dev/null
}

# A store in SQLite from nothing to an account, with what every installation has. Not from the source: cd.
everywhere() {
    cd "$work"
    rm -f store.db
    mailstore=$work/venv/bin/mailstore
    "$mailstore" --version
    "$mailstore" --url "iredmail+sqlite:///$work/store.db" schema create >/dev/null
    "$mailstore" --url "iredmail+sqlite:///$work/store.db" domain create example.com >/dev/null
    "$mailstore" --url "iredmail+sqlite:///$work/store.db" domain list | grep -q example.com
    [ -e "$work/venv/share/man/man1/mailstore.1" ]
    [ -e "$work/venv/share/man/man8/mailstored.8" ]
    [ -e "$work/venv/share/man/man5/mailstore.toml.5" ]
}

# extra, the modules that it brings, the programs that then start
try() {
    fresh "${1:+[$1]}"
    say "mailstore[${1:-}]"
    everywhere
    [ -z "$2" ] || "$work/venv/bin/python" -c "import $2"
    for program in $3; do
        "$work/venv/bin/$program" --version
    done
}

case $wheel in
/*) ;;
*) wheel=$PWD/$wheel ;;
esac
try "" "mailstore" ""
# What is not installed is named, with how to get it.
if "$work/venv/bin/mailstored" --once >"$work/said" 2>&1; then
    say "mailstored works without its packages?" && exit 1
fi
grep -q "mailstore\[daemon\]" "$work/said"
try mysql pymysql ""
try postgresql psycopg ""
try ldap ldap3 ""
try daemon "mailstored.service, mailstored.letter" "mailstored mailstored-mail"
try http "mailstore_http.service" "mailstored mailstore-http"
try all "pymysql, psycopg, ldap3, mailstore_http.service" "mailstored mailstore-http"
say good
