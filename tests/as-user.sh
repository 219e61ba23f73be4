#!/bin/sh
# Run the tests a second time as an ordinary user, when this is root. The user is made if need be and has subordinate
# ids; the tree is copied to where the user can read it, and the interpreter is one that every user can reach.
set -eu
[ "$(id -u)" = 0 ] || exit 0
user=lapstrake-test
id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/sh "$user"
grep -q "^$user:" /etc/subuid || echo "$user:500000:65536" >>/etc/subuid
grep -q "^$user:" /etc/subgid || echo "$user:500000:65536" >>/etc/subgid
home=$(getent passwd "$user" | cut -d: -f6)
rm -rf "$home/tree"
mkdir "$home/tree"
git ls-files -z | xargs -0 cp --parents -t "$home/tree" 2>/dev/null || cp -r builder cache frontends tests examples pyproject.toml README.md LICENSE "$home/tree"
chown -R "$user" "$home/tree"
python=/usr/bin/python3
[ -x "$python" ] || python=python3
[ -x "$home/venv/bin/pytest" ] || su "$user" -c "$python -m venv '$home/venv' && '$home/venv/bin/pip' install --quiet --disable-pip-version-check pytest pytest-timeout hypothesis"
su "$user" -c "cd '$home/tree' && '$home/venv/bin/pip' install --quiet --disable-pip-version-check -e . && '$home/venv/bin/python' -m pytest" </dev/null
