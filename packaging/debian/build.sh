#!/bin/sh
# Make a Debian package of the wheel in dist/ for the Python of this system: build.sh WHEEL DIRECTORY
#
# The Python packages come along, in an environment of their own: those of Debian 12 are too old (click, SQLAlchemy, msgspec).
# It lies in /usr/lib/mailstore, so that it does not meet one that somebody made in /opt/mailstore by hand.
# Needs python3-venv and dpkg-deb, and no root. Reproducible: with SOURCE_DATE_EPOCH the same comes out every time.
set -eu
umask 022

wheel=$1
target=$2
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
python=/usr/bin/python3
home=/usr/lib/mailstore
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git -C "$source" log -1 --format=%ct)}"

version=$(basename "$wheel" | cut -d- -f2)
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root$home" "$root/DEBIAN"

environment() {
    $python -m venv --upgrade-deps "$work/tools"
    $python -m venv --without-pip "$root$home"
    "$work/tools/bin/python" -m pip --python "$root$home/bin/python" install -q --disable-pip-version-check --no-compile \
        -c "$source/constraints.txt" "$wheel[all]"
    rm -rf "$root$home/include" "$root$home/share" "$root$home"/bin/activate* "$root$home"/bin/Activate.ps1
    # Where it was made is written into it.
    grep -rlI "$root" "$root$home/bin" "$root$home/pyvenv.cfg" | while read -r file; do
        sed -i "s|$root||g" "$file"
    done
    # They name the path of the wheel, and are about pip only. So do the sums of the commands, from before that.
    find "$root$home/lib" -path '*.dist-info/*' \( -name direct_url.json -o -name INSTALLER -o -name REQUESTED \) -delete
    find "$root$home/lib" -path '*.dist-info/RECORD' -exec sed -i -e '/direct_url.json,/d' -e '/INSTALLER,/d' \
        -e '/REQUESTED,/d' -e '\|^\.\./\.\./\.\./bin/|d' {} +
    # Nobody but root can write there, so that Python could not keep what it has compiled.
    PYTHONHASHSEED=0 $python -m compileall -q -j 1 --invalidation-mode unchecked-hash -s "$root" "$root$home/lib"
}

commands() {
    mkdir -p "$root/usr/bin" "$root/usr/sbin"
    ln -s ../lib/mailstore/bin/mailstore "$root/usr/bin/mailstore"
    for name in mailstored mailstored-mail mailstore-http; do
        ln -s "../lib/mailstore/bin/$name" "$root/usr/sbin/$name"
    done
}

beside() {
    mkdir -p "$root/etc/mailstore" "$root/usr/lib/systemd/system" "$root/usr/share/doc/mailstore/examples"
    install -m 644 "$source/daemon/systemd/mailstore.toml" "$root/etc/mailstore/mailstore.toml"
    for unit in mailstored mailstore-http; do
        sed "s|/opt/mailstore/bin|$home/bin|; /^# Install as/d" "$source/daemon/systemd/$unit.service" \
            >"$root/usr/lib/systemd/system/$unit.service"
    done
    cp -r "$source/daemon/prometheus" "$source/daemon/grafana" "$source/daemon/fail2ban" "$root/usr/share/doc/mailstore/examples"
    [ ! -d "$source/daemon/systemd/drop-ins" ] ||
        cp -r "$source/daemon/systemd/drop-ins" "$root/usr/share/doc/mailstore/examples"
    cp "$source/LICENSE" "$root/usr/share/doc/mailstore/copyright"
    gzip -9n <"$source/CHANGELOG.md" >"$root/usr/share/doc/mailstore/changelog.gz"
    for page in "$source"/docs/man/man*/*; do
        folder=$root/usr/share/man/$(basename "$(dirname "$page")")
        mkdir -p "$folder"
        gzip -9n <"$page" >"$folder/$(basename "$page").gz"
    done
    completion bash usr/share/bash-completion/completions/mailstore
    completion zsh usr/share/zsh/vendor-completions/_mailstore
    completion fish usr/share/fish/vendor_completions.d/mailstore.fish
}

completion() {
    mkdir -p "$root/$(dirname "$2")"
    PYTHONDONTWRITEBYTECODE=1 "$root$home/bin/python" "$root$home/bin/mailstore" completion "$1" >"$root/$2"
}

# Not du, which counts directories as the file system of today makes them.
kilobytes() {
    find "$root" -type f -printf '%s\n' | awk '{ sum += $1 } END { print int(sum / 1024) }'
}

control() {
    minor=$($python -c 'import sys; print(sys.version_info.minor)')
    sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@PYTHON@/3.$minor/" \
        -e "s/@NEXT@/3.$((minor + 1))/" -e "s/@SIZE@/$(kilobytes)/" \
        "$here/control" >"$root/DEBIAN/control"
    install -m 644 "$here/conffiles" "$root/DEBIAN/conffiles"
    for script in postinst prerm postrm; do
        install -m 755 "$here/$script" "$root/DEBIAN/$script"
    done
    (cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
}

environment
commands
beside
control
chmod -R go-w "$root"
mkdir -p "$target"
dpkg-deb --root-owner-group -Zxz -z3 --build "$root" "$target/mailstore_${version}_${architecture}.deb" >/dev/null
echo "$target/mailstore_${version}_${architecture}.deb"
