#!/bin/sh
# Install what the tests need on a bare Debian 12: real servers, and Python's venv module.
# Packages that are named as arguments come besides.
# Does nothing when all of it is there. The tests start their own private servers, so the packages'
# services are not started now; systemd keeps them enabled, so they would start at the next boot.
set -eu

MORE=$*
PACKAGES="curl mariadb-server galera-4 rsync iproute2 postgresql slapd ldap-utils openssl
    dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd dovecot-managesieved
    dovecot-mysql dovecot-pgsql dovecot-sqlite dovecot-ldap
    postfix postfix-mysql postfix-pgsql postfix-sqlite postfix-ldap
    fail2ban amavisd-new spamassassin libdbd-mysql-perl libdbd-pg-perl man-db zsh fish $MORE"
PROGRAMS="curl mariadbd mariadb-install-db slapd slapadd ldapsearch openssl dovecot doveadm postmap postconf setpriv prlimit
    amavisd fail2ban-regex man zsh fish"
POLICY=/usr/sbin/policy-rc.d

# Servers live in sbin, which is not on an ordinary user's PATH.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

die() {
    echo "install.sh: $*" >&2
    exit 1
}

has_venv() {
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1
}

missing_packages() {
    for package in $PACKAGES; do
        status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || status=none
        [ "$status" = installed ] || echo "$package"
    done
    has_venv || echo python3-venv
}

# Without dpkg (another distribution) nothing can be installed here, only checked.
check_programs() {
    absent=""
    for program in $PROGRAMS; do
        command -v "$program" >/dev/null || absent="$absent $program"
    done
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null ||
        absent="$absent postgres"
    has_venv || absent="$absent python3-venv"
    [ -z "$absent" ] || die "not a Debian system, install these yourself:$absent"
}

become_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null || die "missing packages: $* (run as root, or install sudo)"
    # shellcheck disable=SC2086
    exec sudo -- sh "$0" $MORE
}

restore_policy() {
    rm -f "$POLICY"
    [ ! -e "$saved/policy" ] || mv "$saved/policy" "$POLICY"
    rm -rf "$saved"
}

# 101 means "forbidden by policy": each postinst then skips starting its service.
forbid_services() {
    saved=$(mktemp -d)
    [ ! -e "$POLICY" ] || cp -p "$POLICY" "$saved/policy"
    trap restore_policy EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    rm -f "$POLICY"
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
}

run_apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$saved/output" 2>&1 || {
        cat "$saved/output" >&2
        die "apt-get $1 failed"
    }
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    check_programs
    exit 0
fi
missing=$(missing_packages | tr '\n' ' ')
[ -n "$missing" ] || exit 0
become_root "$missing"
echo "install.sh: installing $missing"
forbid_services
run_apt update
# --no-remove: fail rather than take away another mail server that postfix conflicts with.
# shellcheck disable=SC2086
run_apt install -y --no-install-recommends --no-remove $missing
