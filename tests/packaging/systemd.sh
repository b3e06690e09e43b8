# SPDX-License-Identifier: Apache-2.0
#
# The part `systemd` of tests/packaging/run: the units are right, and as closed as docs/exporter.md says.
# shellcheck shell=bash

check_systemd() {
  local units=$ours/systemd score documented
  if ! have systemd-analyze; then
    skip "systemd-analyze is missing"
    return
  fi
  # The program need not be installed here.
  sed "s|/usr/sbin/listenq-top|$top|" "$units/listenq-top.service" >"$work/listenq-top.service"
  cp "$units/listenq-top.socket" "$work/"
  check "systemd-analyze verify" quiet \
    systemd-analyze verify --man=no "$work/listenq-top.service" "$work/listenq-top.socket"
  check "the service runs what the package installs" grep -q '^ExecStart=/usr/sbin/listenq-top serve \$ARGS$' \
    "$units/listenq-top.service"

  documented=$(sed -nE 's/.*exposure ([0-9.]+) of 10.*/\1/p' "$root/docs/exporter.md")
  score=$(systemd-analyze security --offline=true --no-pager "$work/listenq-top.service" |
    sed -nE 's/.*Overall exposure level for listenq-top.service: ([0-9.]+) .*/\1/p')
  check "systemd-analyze security says what docs/exporter.md says ($score)" test "$score" = "$documented"

  # The default file is a shell script's idea of variables, and systemd's.
  check "the default file is read by a shell" bash -c "set -u; . '$units/listenq-top.default'; test -z \"\$ARGS\""
}
