#!/usr/bin/env bash
# engine.sh FOLDER: puts a newer Docker Engine than this system's into FOLDER: Debian's docker.io of a later suite,
# packages unpacked and nothing configured. As root; half a minute and 400 MB. A FOLDER that has all of it stays.
set -euo pipefail
folder=$1
[ "$(id -u)" = 0 ] || { echo 'engine.sh: needs root' >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo 'engine.sh: mmdebstrap is not installed' >&2; exit 1; }
[ ! -x "$folder/usr/bin/xz" ] || exit 0

parent=$(dirname "$folder")
mkdir -p "$parent"
exec 9>"$parent/engine.lock"
flock -w 600 9
[ ! -x "$folder/usr/bin/xz" ] || exit 0
rm -rf "$folder".new.*   # of a run that was killed: the lock says that none is alive
new=$(mktemp -d "$folder.new.XXXXXX")
trap 'rm -rf "$new"' EXIT

# Mirrors keep a suite that is not released yet longer than its lists say they are good for.
options=(--mode=root --variant=extract --quiet --include=base-files,coreutils,mount,docker.io,docker-cli,docker-buildx,xz-utils
         '--aptopt=APT::Install-Recommends "false"' '--aptopt=Acquire::Check-Valid-Until "false"'
         '--dpkgopt=path-exclude=/usr/share/doc/*' '--dpkgopt=path-exclude=/usr/share/man/*')
for suite in forky trixie; do
  rm -rf "${new:?}"/root
  if timeout --kill-after=10 300 mmdebstrap "${options[@]}" "$suite" "$new/root" http://deb.debian.org/debian >"$new/log" 2>&1; then
    rm -rf "$folder"
    mv -T "$new/root" "$folder"
    echo "engine.sh: $(chroot "$folder" dockerd --version) of Debian $suite"
    exit 0
  fi
done
tail -5 "$new/log" >&2
echo 'engine.sh: no newer Docker Engine can be had; tests that need it are skipped' >&2
exit 1
