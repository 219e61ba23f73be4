#!/usr/bin/env bash
# demo.sh LAPSTRAKE FOLDER: builds examples/base and examples/multistage into FOLDER/demo.tar. Run by `make demo`.
set -euo pipefail
lapstrake=$1
folder=$2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
export LAPSTRAKE_ROOT="$folder/store"

# The base's context is a copy, so that the folder with its source stays as it was cloned.
mkdir -p "$folder/base"
cp "$here/base/Dockerfile" "$here/base/.dockerignore" "$folder/base/"
bash "$here/busybox.sh" "$folder/base/busybox"

begin=$(date +%s%N)
"$lapstrake" build --progress plain -t lapstrake-demo-base "$folder/base"
"$lapstrake" build --progress plain -t lapstrake-demo -o "type=docker,dest=$folder/demo.tar" "$here/multistage"
taken=$((($(date +%s%N) - begin) / 1000000))

printf '\nBuilt %s (%s bytes) in %d.%02d s.\n' "$folder/demo.tar" "$(stat -c %s "$folder/demo.tar")" \
  $((taken / 1000)) $((taken % 1000 / 10))
printf 'Run it:\n  docker load -i %s\n  docker run --rm -p 8080:8080 lapstrake-demo\n  curl http://localhost:8080/\n' \
  "$folder/demo.tar"
