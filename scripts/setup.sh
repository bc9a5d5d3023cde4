#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: packages of
# the system where that is permitted, Python packages in a virtual environment.
# A second call finds its stamp and does nothing.
#
#   scripts/setup.sh VENV own        make and use the virtual environment VENV
#   scripts/setup.sh VENV existing   check VENV, change nothing in it
#
# A third argument, `lint` or `asan`, asks for what only these need.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:?usage: scripts/setup.sh VENV own|existing [lint|asan]}
mode=${2:-own}
purpose=${3:-build}
llvm=${LLVM_PREFIX:-/usr/lib/llvm-22}

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

# A Python that the pinned packages support, or nothing.
find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null &&
       "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

# One line a package: its Debian name, then a file or a command that shows that
# it is there, from wherever it came.
needed_packages() {
  cat <<LIST
clang-22 clang++-22
lld-22 $llvm/bin/ld.lld
llvm-22-dev $llvm/lib/cmake/llvm/LLVMConfig.cmake
llvm-22-tools $llvm/bin/FileCheck
libmlir-22-dev $llvm/lib/cmake/mlir/MLIRConfig.cmake
mlir-22-tools $llvm/bin/mlir-opt
libomp-22-dev $llvm/lib/libomp.so
clang-format-22 $llvm/bin/clang-format
libgtest-dev /usr/include/gtest/gtest.h
ninja-build ninja
cmake cmake
ccache ccache
git git
LIST
  case $purpose in
    lint) echo "clang-tidy-22 clang-tidy-22" ;;
    asan) echo "libclang-rt-22-dev $llvm/lib/clang/22/lib/linux/libclang_rt.asan-x86_64.a" ;;
  esac
}

# Prints the name of each missing package.
missing_packages() {
  local package probe python
  while read -r package probe; do
    case $probe in
      /*) [ -e "$probe" ] || echo "$package" ;;
      *) command -v "$probe" >/dev/null || echo "$package" ;;
    esac
  done < <(needed_packages)
  python=$(find_python)
  if [ -z "$python" ]; then
    echo python3 python3-venv python3-dev
    return
  fi
  "$python" -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
  [ -e "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
    echo python3-dev
}

install_packages() {
  local root=() packages=("$@")
  command -v apt-get >/dev/null ||
    fail "this system has no apt-get; install LLVM and MLIR 22.1 (set LLVM_PREFIX) and: ${packages[*]}"
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null ||
      fail "not permitted to install packages; run: sudo apt-get install ${packages[*]}"
    root=(sudo -n)
  fi
  say "installing system packages: ${packages[*]}"
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q
             -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  mkdir -p build
  { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${packages[@]}"; } \
    >build/setup-apt.log 2>&1 </dev/null || {
    tail -n 5 build/setup-apt.log >&2
    fail "apt-get could not install: ${packages[*]} (whole log: build/setup-apt.log)"
  }
}

install_python() {
  local stamp
  stamp=$venv/moe-$(cksum <requirements.txt | tr ' ' '-')
  [ -e "$stamp" ] && return
  [ -x "$venv/bin/python" ] || {
    say "making the virtual environment $venv"
    "$(find_python)" -m venv "$venv"
  }
  say "installing Python packages into $venv (some minutes; log: build/setup-pip.log)"
  mkdir -p build
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
    --progress-bar off -r requirements.txt >build/setup-pip.log 2>&1 </dev/null || {
    tail -n 5 build/setup-pip.log >&2
    fail "pip could not install requirements.txt into $venv; VENV=DIR uses an environment that has them"
  }
  rm -f "$venv"/moe-*
  touch "$stamp"
}

mapfile -t missing < <(missing_packages | tr ' ' '\n')
[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
case $mode in
  own) install_python ;;
  existing)
    [ -x "$venv/bin/python" ] || fail "VENV=$venv is not a virtual environment: $venv/bin/python is missing"
    "$venv/bin/python" scripts/check_environment.py requirements.txt ;;
  *) fail "unknown mode '$mode'; expected 'own' or 'existing'" ;;
esac
