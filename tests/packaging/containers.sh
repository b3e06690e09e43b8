# SPDX-License-Identifier: Apache-2.0
#
# The part `containers` of tests/packaging/run: what can be said of the DaemonSet and the image without a cluster.
# shellcheck shell=bash

check_containers() {
  if ! python3 -c 'import yaml' 2>/dev/null; then
    skip "python3-yaml is missing"
    return
  fi
  check "the DaemonSet, the image and the service agree" python3 "$folder/daemonset.py"
  check "the image takes nothing of build/" grep -qx build "$root/.containerignore"
}
