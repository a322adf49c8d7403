#!/bin/sh
# Installs the client component into a prefix of its own, builds a separate project against it with
# find_package(varve) and with pkg-config, and runs that: beside its own full copy of the same protos.
#   install_test.sh BUILD_DIR SOURCE_DIR
set -eu
build=$1
source=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/varve-install-XXXXXX")
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

ninja -C "$build" varve_client >"$work/build.log" 2>&1 || { tail -20 "$work/build.log"; fail "building the client"; }
cmake --install "$build" --component client --prefix "$prefix" >"$work/install.log"

# Headers show the standard library and ourselves only, and each compiles alone.
if grep -rhE '^ *# *include' "$prefix/include/varve" | grep -E 'grpc|protobuf|absl|common/|client/'; then
  fail "an installed header includes what is not installed"
fi
for header in "$prefix"/include/varve/*.h; do
  echo "#include <varve/$(basename "$header")>" >"$work/alone.cc"
  c++ -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I "$prefix/include" "$work/alone.cc" ||
    fail "$(basename "$header") does not compile alone"
done

# The library exports its API and nothing else.
library=$(find "$prefix" -name 'libvarve.so.0')
[ -n "$library" ] || fail "libvarve.so.0 is not installed"
foreign=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -vE '^_ZNK?5varve2v0|^_ZT[ISV]N5varve2v0' || true)
[ -z "$foreign" ] || fail "symbols beyond the API: $foreign"

cp -r "$source/tests/client/install_project" "$work/project"
mkdir "$work/project/protos"
cp -r "$source/proto/varve" "$work/project/protos/varve"
# Somewhere else than where it was installed: the package must be relocatable.
mv "$prefix" "$work/moved"
cmake -S "$work/project" -B "$work/project/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" >"$work/configure.log" 2>&1 ||
  { cat "$work/configure.log"; fail "find_package(varve)"; }
ninja -C "$work/project/build" >"$work/project.log" 2>&1 || { tail -30 "$work/project.log"; fail "building against it"; }
"$work/project/build/use_varve" || fail "the program that uses it"

pc=$(dirname "$(find "$work/moved" -name varve-client.pc)")
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs varve-client) || fail "pkg-config"
libs=$(PKG_CONFIG_PATH=$pc pkg-config --variable=libdir varve-client)
# shellcheck disable=SC2086
c++ -std=c++20 "$source/client/examples/admin.cc" -o "$work/admin" $flags -Wl,-rpath,"$libs" ||
  fail "linking with pkg-config"
"$work/admin" 127.0.0.1:1 t 2>"$work/admin.err" && fail "the example succeeded without a broker"
grep -q '^UNAVAILABLE: ' "$work/admin.err" || { cat "$work/admin.err"; fail "expected UNAVAILABLE"; }

# The guide shows the examples as they are.
python3 - "$source" <<'END' || fail "docs/client.md shows an example that has changed since"
import pathlib, sys
source = pathlib.Path(sys.argv[1])
guide = (source / "docs/client.md").read_text()
examples = [path for path in (source / "client/examples").iterdir() if path.is_file()]
stale = [path.name for path in examples if path.read_text().strip() not in guide]
sys.exit(", ".join(stale) if stale or not examples else 0)
END
echo "4 passed, 0 failed, 0 skipped"
