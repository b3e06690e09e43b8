# SPDX-License-Identifier: Apache-2.0
#
# The part `licences` of tests/packaging/run: packaging/deb/copyright says what the files themselves say.
# shellcheck shell=bash

check_licences() {
  if ! have python3 || ! git -C "$root" -c safe.directory="$root" rev-parse HEAD >/dev/null 2>&1; then
    skip "licences: python3 or the repository's list of files is missing"
    return
  fi
  check "debian/copyright has every file under its own licence" python3 "$folder/licences.py" "$root" \
    < <(git -C "$root" -c safe.directory="$root" ls-files)
  check "the text of BSD-2-Clause is whole" diff \
    <(sed -n '3,$p' "$root/LICENSES/BSD-2-Clause.txt") \
    <(sed -n '/^License: BSD-2-Clause$/,$p' "$ours/deb/copyright" | sed '1d; s/^ //; s/^\.$//')
  check "the changelog has the version of the project" grep -qF \
    "listenq-top ($(sed -nE 's/^project\(listenq-top VERSION ([0-9.]+) .*/\1/p' "$root/CMakeLists.txt")) " \
    "$ours/deb/changelog"
}
