#!/usr/bin/env bash
# venv.sh PYTHON FOLDER: makes a virtual environment, or says what is missing. As root it installs what is missing.
set -euo pipefail
python=$1
folder=$2

fail() { echo "venv.sh: $1" >&2; exit 1; }

version='import sys; sys.exit(sys.version_info < (3, 11))'
if ! command -v "$python" >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get -qq update && apt-get -qq -y --no-install-recommends install python3 python3-venv >/dev/null
fi
command -v "$python" >/dev/null || fail "$python is not installed; try: apt-get install python3 python3-venv"
if ! "$python" -c "$version"; then
  for newer in python3.14 python3.13 python3.12 python3.11; do
    if command -v "$newer" >/dev/null; then python=$newer; break; fi
  done
fi
"$python" -c "$version" || fail "Python 3.11 or newer is needed, $("$python" --version 2>&1) is too old; set PYTHON="

if "$folder/bin/python" -c "import pip; $version" 2>/dev/null; then exit 0; fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo 'venv.sh: installing python3-venv' >&2
    apt-get -qq update && apt-get -qq -y --no-install-recommends install python3-venv >/dev/null
  elif "$python" -m virtualenv --version >/dev/null 2>&1; then
    exec "$python" -m virtualenv --quiet --clear "$folder"
  else
    fail 'this Python has no venv; try: apt-get install python3-venv (or pip install virtualenv)'
  fi
fi
"$python" -m venv --clear "$folder"
