#!/usr/bin/env bash
# busybox.sh FILE: puts a static busybox there. Takes the machine's own if it is static, else Debian's or Ubuntu's
# package, unpacked without being installed. Needs no root.
set -euo pipefail
export LC_ALL=C
dest=$1
folder=$(dirname "$dest")
mkdir -p "$folder"

# ldd's own status says nothing here: it is 1 for a static program.
static() {
  [ -x "$1" ] || return 1
  case $(ldd "$1" 2>&1 || true) in
    *'not a dynamic executable'* | *'statically linked'*) return 0 ;;
    *) return 1 ;;
  esac
}

for found in "$dest" /bin/busybox /usr/bin/busybox /usr/lib/initramfs-tools/bin/busybox; do
  if static "$found"; then
    [ "$found" = "$dest" ] || install -m 0755 "$found" "$dest"
    exit 0
  fi
done

work=$(mktemp -d "$folder/apt.XXXXXX")
trap 'rm -rf "$work"' EXIT
work=$(cd "$work" && pwd)
# Lists of our own, for a machine whose lists are absent and a user who may not fetch them.
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
own=(-o "Dir::State=$work/state" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$work/cache"
     -o APT::Sandbox::User= -o Debug::NoLocking=1)
(
  cd "$work"
  apt-get -qq -o APT::Sandbox::User= download busybox-static 2>/dev/null || {
    apt-get -qq "${own[@]}" update
    apt-get -qq "${own[@]}" download busybox-static
  }
  dpkg-deb -x busybox-static_*.deb unpacked
) || {
  echo "busybox.sh: busybox-static cannot be fetched; put a static busybox at $dest" >&2
  exit 1
}
for found in "$work"/unpacked/bin/busybox "$work"/unpacked/usr/bin/busybox; do
  if [ -x "$found" ]; then install -m 0755 "$found" "$dest"; fi
done
static "$dest" || { echo "busybox.sh: the package holds no static busybox" >&2; exit 1; }
