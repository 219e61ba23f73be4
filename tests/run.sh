#!/usr/bin/env bash
# run.sh BIN [PYTEST ARGUMENTS]: all tests. As root: installs what is missing of packages.txt, tests as root, and the
# whole once more as an ordinary user. BIN: bin folder of the virtual environment. Exits non-zero if any test failed.
set -uo pipefail
bin=$1
shift
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
unset PYTHONDONTWRITEBYTECODE  # the tests start the program a thousand times

if [ "$(id -u)" != 0 ]; then
  exec "$bin/python" -m pytest -n auto --dist worksteal "$@"
fi

own_policy=
if command -v apt-get >/dev/null; then
  missing=$(while read -r package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
  done < tests/packages.txt)
  if [ -n "$missing" ]; then
    echo "run.sh: installing" $missing
    export DEBIAN_FRONTEND=noninteractive
    # No daemon of a package is to start here: the tests start their own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      own_policy=$policy
      printf '#!/bin/sh\nexit 101\n' > $policy
      chmod 755 $policy
    fi
    apt-get -qq update
    apt-get -qq -y --no-install-recommends install $missing >/dev/null ||
      echo "run.sh: some of them cannot be installed; tests that need them are skipped" >&2
  fi
fi
[ -z "$own_policy" ] || rm -f "$own_policy"

# A newer BuildKit to compare with; kept from run to run.
command -v mmdebstrap >/dev/null && bash tests/engine.sh /var/cache/lapstrake-tests/engine

status=0
echo '== as root'
timeout --kill-after=30 1500 "$bin/python" -m pytest -n auto --dist worksteal "$@" || status=1

# The ordinary user sees a copy: it must not be able to write here, nor need to read root's home.
user=lapstrake-test
home=$(mktemp -d /var/tmp/lapstrake-test.XXXXXX)
finish() {
  userdel "$user" 2>/dev/null
  rm -rf "$home"
}
trap finish EXIT
userdel "$user" 2>/dev/null
useradd --no-create-home --home-dir "$home/home" --shell /bin/bash "$user" || exit 1
mkdir -p "$home/home" "$home/source" "$home/tmp" "$home/run"
tar -C "$top" --exclude=./.git --exclude=./.venv --exclude=./.demo --exclude=__pycache__ -cf - . | tar -C "$home/source" -xf -
chown -R "$user:" "$home"
chmod 755 "$home"
chmod 700 "$home/run"  # else skopeo looks in /run/containers, which is root's where root has used podman
as_user() {
  setpriv --reuid "$user" --regid "$user" --init-groups env -u XDG_DATA_HOME -u LAPSTRAKE_ROOT \
    XDG_RUNTIME_DIR="$home/run" HOME="$home/home" USER="$user" LOGNAME="$user" TMPDIR="$home/tmp" PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$@"
}
python=$(readlink -f "$bin/python")
as_user "$python" -c '' 2>/dev/null || python=/usr/bin/python3
echo "== as $user"
cd "$home/source" || exit 1
as_user bash tests/venv.sh "$python" "$home/venv" &&
  as_user "$home/venv/bin/pip" install --quiet --disable-pip-version-check -e '.[dev]' &&
  as_user timeout --kill-after=30 1500 "$home/venv/bin/python" -m pytest -n auto --dist worksteal "$@" || status=1
exit $status
