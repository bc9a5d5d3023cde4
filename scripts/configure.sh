#!/usr/bin/env bash
# Configures a build folder by its preset, once for each choice of Python.
#
#   scripts/configure.sh PRESET BUILD PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1 build=$2 python=$3
choice="$preset $python $(cksum <CMakePresets.json)"
stamp=$build/moe-configured
[ -e "$build/build.ninja" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$choice" ] && exit 0
mkdir -p "$build"
printf 'configure: %s\n' "$build"
cmake --preset "$preset" -B "$build" -DPython3_EXECUTABLE="$python" \
  >"$build/configure.log" 2>&1 || {
  tail -n 30 "$build/configure.log" >&2
  exit 1
}
printf '%s' "$choice" >"$stamp"
