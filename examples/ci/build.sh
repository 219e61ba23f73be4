#!/usr/bin/env bash
# build.sh: builds an image in CI with a cache that outlives the machine, and says plainly what failed.
#
# Everything comes from the environment, so that no CI system has to quote anything into a command line:
#
#   CONTEXT       folder with the Dockerfile (default: .)
#   DOCKERFILE    its path (default: CONTEXT/Dockerfile)
#   TARGET        stage to build (default: the last one)
#   TAGS          names of the image, one a line
#   BUILD_ARGS    NAME=VALUE, one a line
#   PUSH          1: push the image under its names
#   CACHE         where the cache is kept: a folder (it has a / at its start, or a .), or an image name in a registry;
#                 empty: nowhere
#   CACHE_WRITE   0: only read it, as for changes from people who may not write it (default: 1)
#   OUT           folder for metadata.json and build.log (default: .lapstrake)
#   LAPSTRAKE     the program (default: lapstrake)
#
# The exit status is lapstrake's: 0 built, 1 the build failed, 2 a wrong option, 100 a fault of lapstrake itself.
set -uo pipefail

context=${CONTEXT:-.}
out=${OUT:-.lapstrake}
mkdir -p "$out" || exit 1
rm -f "$out/metadata.json"

words=(build --progress plain --metadata-file "$out/metadata.json")
[ -z "${DOCKERFILE:-}" ] || words+=(--file "$DOCKERFILE")
[ -z "${TARGET:-}" ] || words+=(--target "$TARGET")
[ "${PUSH:-0}" != 1 ] || words+=(--push)
while IFS= read -r line; do [ -z "$line" ] || words+=(--tag "$line"); done <<<"${TAGS:-}"
while IFS= read -r line; do [ -z "$line" ] || words+=(--build-arg "$line"); done <<<"${BUILD_ARGS:-}"

# A cache that is missing or damaged is a warning, and one that cannot be written must not fail a good build.
case ${CACHE:-} in
  '') ;;
  [./]*)
    [ ! -e "$CACHE/index.json" ] || words+=(--cache-from "type=local,src=$CACHE")
    [ "${CACHE_WRITE:-1}" = 0 ] || words+=(--cache-to "type=local,dest=$CACHE,mode=max,reset=true,ignore-error=true")
    ;;
  *)
    words+=(--cache-from "type=registry,ref=$CACHE")
    [ "${CACHE_WRITE:-1}" = 0 ] || words+=(--cache-to "type=registry,ref=$CACHE,mode=max,ignore-error=true")
    ;;
esac

"${LAPSTRAKE:-lapstrake}" "${words[@]}" "$context" 2>&1 | tee "$out/build.log"
status=${PIPESTATUS[0]}

# What a person looks for first, at the end, where CI systems scroll to.
github() { [ -n "${GITHUB_ACTIONS:-}" ]; }
if [ "$status" = 0 ]; then
  digest=$(sed -n 's/.*"containerimage.digest": "\([^"]*\)".*/\1/p' "$out/metadata.json")
  cached=$(grep -c ' CACHED$' "$out/build.log" || true)
  echo "Built $digest, $cached steps from the cache."
  if github; then
    [ -z "${GITHUB_OUTPUT:-}" ] || echo "digest=$digest" >>"$GITHUB_OUTPUT"
    [ -z "${GITHUB_STEP_SUMMARY:-}" ] || echo "Built \`$digest\`, $cached steps from the cache." >>"$GITHUB_STEP_SUMMARY"
  fi
else
  error=$(grep -m1 '^ERROR: ' "$out/build.log" || echo "ERROR: lapstrake ended with status $status")
  if github; then echo "::error title=Image build failed::${error#ERROR: }"; else echo "Build failed: ${error#ERROR: }"; fi
  echo "The whole log is in $out/build.log."
fi
exit "$status"
