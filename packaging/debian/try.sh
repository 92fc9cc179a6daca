#!/bin/sh
# Install, change, upgrade, remove and purge the package in a throw-away copy of this system: try.sh PACKAGE
# Needs root: the copy is an overlay in a mount namespace of its own, and ends with it. Nothing of the system changes.
set -eu

[ "$(id -u)" -eq 0 ] || { echo "try.sh: this needs root" >&2; exit 1; }
if [ -z "${TRYING:-}" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp "$1" "$work/package.deb"
    TRYING=$work unshare --mount --pid --fork --kill-child sh "$0" "$1"
    exit
fi

mount -t tmpfs tmpfs "$TRYING"/ -o size=600m 2>/dev/null && cp "$1" "$TRYING/package.deb"
mkdir "$TRYING/changes" "$TRYING/work" "$TRYING/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$TRYING/changes,workdir=$TRYING/work" "$TRYING/root"
mount --bind /dev "$TRYING/root/dev"
mount -t proc proc "$TRYING/root/proc"
mkdir -p "$TRYING/root/tmp" && cp "$TRYING/package.deb" "$TRYING/root/tmp/package.deb"
cat >"$TRYING/root/tmp/steps" <<'STEPS'
set -eux
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /
config=/etc/mailstore/mailstore.toml
dpkg -i /tmp/package.deb
getent passwd vmail
dpkg -V mailstore
mailstore --version
for program in mailstored mailstored-mail mailstore-http; do $program --version; done
man -w mailstore mailstore-account mailstored mailstore.toml
bash -n /usr/share/bash-completion/completions/mailstore
runuser -u vmail -- env HOME=/tmp mailstore --url iredmail+sqlite:////tmp/store.db schema create
runuser -u vmail -- env HOME=/tmp mailstore --url iredmail+sqlite:////tmp/store.db domain create example.com
mkdir -p /tmp/homes && touch /tmp/homes/keep && chown -R vmail: /tmp/homes
printf '[stores.main]\nurl = "iredmail+sqlite:////tmp/store.db"\nhomes = ["/tmp/homes"]\n' >"$config"
runuser -u vmail -- mailstored --once
systemd-analyze verify --man=no mailstored.service
systemd-analyze verify --man=no mailstore-http.service
[ -z "$(find /usr/lib/mailstore -name '*.pyc' -newer /tmp/package.deb)" ]

# A later version with another sample: the administrator's file stays as it is.
dpkg-deb -R /tmp/package.deb /tmp/later
sed -i 's/^Version: .*/&+later/' /tmp/later/DEBIAN/control
echo '# another sample' >>/tmp/later/etc/mailstore/mailstore.toml
dpkg-deb -Znone --build /tmp/later /tmp/later.deb
dpkg --force-confdef -i /tmp/later.deb
grep -q /tmp/homes "$config"
tail -1 "$config.dpkg-dist" | grep -q 'another sample'
dpkg --remove mailstore
grep -q /tmp/homes "$config"
[ ! -e /usr/bin/mailstore ]
[ ! -e /usr/lib/mailstore ]
dpkg --purge mailstore
[ ! -e "$config" ]
getent passwd vmail
STEPS
chroot "$TRYING/root" sh /tmp/steps
echo "try.sh: good"
