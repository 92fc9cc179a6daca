#!/bin/sh
# The main job on the embedded store: everything below is printed before it is run, and nothing is left afterwards.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
# Lower case, because mail servers look for homes in lower case only.
place=$(printf '/tmp/mailstore-%08d' "$$")
mkdir -m 700 "$place"
trap 'rm -rf "$place"' EXIT
trap 'exit 130' INT TERM
mkdir "$place/homes"
cat >"$place/mailstore.toml" <<END
[stores.demo]
url = "iredmail+sqlite:///$place/vmail.db"
homes = ["$place/homes"]
END
export PATH="$here/.venv/bin:$PATH" MAILSTORE_CONFIG="$place/mailstore.toml"
cd "$place"

say() { printf '\n# %s\n' "$*"; }
run() {
    printf '$ %s\n' "$1"
    eval "$1" 2>&1
}

say 'A store: iRedMail'\''s tables in SQLite, and a directory for the mail'
run 'cat mailstore.toml'
run 'mailstore schema create | wc -l'

say 'A domain, two accounts, an alias'
run 'mailstore domain create example.com --name Example --quota 100G --default-account-quota 1G'
run "echo 'correct horse' | mailstore account create bob@example.com --name Bob --password-stdin"
run "echo 'battery staple' | mailstore account create eve@example.com --name Eve --quota 2G --password-stdin"
run 'mailstore account alias-add bob@example.com robert@example.com'
run 'mailstore alias create sales@example.com --member bob@example.com --member eve@example.com'
run 'mailstore account list'
run 'find homes -type d -name "bob*"'

say 'The hash is right: the password opens the account, another one does not'
run "echo 'correct horse' | mailstore account verify-password bob@example.com"' --password-stdin'
run "echo 'something else' | mailstore account verify-password bob@example.com"' --password-stdin || echo "exit code $?"'

say 'Nobody gets an address twice'
run "mailstore alias create robert@example.com --member eve@example.org"' || echo "exit code $?"'

say 'Mail for Bob; then both accounts are deleted, one of them to be purged at once'
run "echo 'Subject: hello' >\"\$(find homes -path '*/bob*/Maildir/new')/1\""
run 'mailstore account delete eve@example.com --keep-days 30 --yes'
run 'mailstore account delete bob@example.com --keep-days 0 --yes'
run 'mailstore deleted list'

say 'One comes back with everything it had'
run 'mailstore deleted restore 1'
run "echo 'battery staple' | mailstore account verify-password eve@example.com"' --password-stdin'
run 'mailstore alias list'

say 'The other one goes: only now is its mail removed'
run 'mailstore purge --dry-run'
run 'mailstore purge --yes'
run 'find homes -type d -name "bob*"'

if command -v curl >/dev/null; then
    cat >>"$place/mailstore.toml" <<END
[http]
listen = "unix:$place/socket"
state = "$place/state"
[http.v1]
END
    say 'The same over HTTP: the service, a token for a program, and two calls'
    run 'sed -n "/http/,$ p" mailstore.toml'
    run 'mailstore http token create demo --write --format lines | cut -f 9 >token'
    mailstore-http 2>service.log &
    service=$!
    trap 'kill "$service" 2>/dev/null || true; rm -rf "$place"' EXIT
    until [ -S socket ]; do
        kill -0 "$service"
        sleep 0.2
    done
    at='curl -sS --unix-socket socket -H "Authorization: Bearer $(cat token)" http://demo/v1/stores/demo/accounts'
    run "$at --json '{\"address\": \"ann@example.com\", \"password\": \"staple\"}' | cut -c 1-72"
    run "$at/ann@example.com/verify-password --json '{\"password\": \"staple\"}'"
    echo
    kill "$service"
    wait "$service" || true
fi

say 'Nothing is left over, and nothing is wrong'
run 'mailstore account list'
run 'mailstore check && echo good'
