# SPDX-License-Identifier: Apache-2.0
#
# daemonset.py: packaging/kubernetes/daemonset.yaml, with its comments and without, is what Kubernetes and the
# other files expect. Prints what is wrong. Called by tests/packaging/containers.sh.
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).parent.parent.parent
text = (ROOT / "packaging/kubernetes/daemonset.yaml").read_text(encoding="utf-8")
unit = (ROOT / "packaging/systemd/listenq-top.service").read_text(encoding="utf-8")
image = (ROOT / "packaging/container/Containerfile").read_text(encoding="utf-8")
version = re.search(r"project\(listenq-top VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
wrong = []


def expect(what, got, wanted):
    if got != wanted:
        wrong.append(f"{what}: {got!r}, not {wanted!r}")


namespace, daemonset = yaml.safe_load_all(text)
expect("kinds", [namespace["kind"], daemonset["kind"]], ["Namespace", "DaemonSet"])
expect("namespace", daemonset["metadata"]["namespace"], namespace["metadata"]["name"])
template = daemonset["spec"]["template"]
expect("selector", daemonset["spec"]["selector"]["matchLabels"], template["metadata"]["labels"])
pod = template["spec"]
expect("hostPID", pod["hostPID"], True)
expect("containers", len(pod["containers"]), 1)
container = pod["containers"][0]
expect("image", container["image"], f"listenq-top:{version}")
expect("volumes", {m["name"]: m["mountPath"] for m in container["volumeMounts"]},
       {v["name"]: v["hostPath"]["path"] for v in pod["volumes"]})
expect("all mounts read-only", all(m["readOnly"] for m in container["volumeMounts"]), True)

# The capabilities are those of the service, and the two that CAP_SYS_ADMIN covers.
security = container["securityContext"]
of_unit = set(re.search(r"^AmbientCapabilities=(.*)$", unit, re.M)[1].split())
expect("capabilities", {f"CAP_{name}" for name in security["capabilities"]["add"]}, of_unit | {"CAP_BPF", "CAP_PERFMON"})
expect("capabilities dropped", security["capabilities"]["drop"], ["ALL"])
expect("capabilities of podman", set(re.search(r"--cap-add=(\S+)", image)[1].split(",")), set(security["capabilities"]["add"]))
expect("read-only root, not privileged", (security["readOnlyRootFilesystem"], security["privileged"]), (True, False))

# What it is asked, and where, is what the program serves.
ports = {port["name"]: port["containerPort"] for port in container["ports"]}
expect("arguments", container["args"], ["serve", "--web.listen-address", f":{ports['metrics']}"])
expect("command of the image", re.search(r"^CMD (.*)$", image, re.M)[1], str(container["args"]).replace("'", '"'))
expect("port of the image", re.search(r"^EXPOSE (\d+)$", image, re.M)[1], str(ports["metrics"]))
for probe, path in (("livenessProbe", "/-/healthy"), ("readinessProbe", "/-/ready")):
    expect(probe, container[probe]["httpGet"], {"path": path, "port": "metrics"})

# The example for the operator, with its # taken away.
monitor = yaml.safe_load(re.sub(r"^# ?", "", text[text.index("# apiVersion: monitoring"):], flags=re.M))
expect("PodMonitor", monitor["kind"], "PodMonitor")
expect("its namespace", monitor["metadata"]["namespace"], namespace["metadata"]["name"])
expect("its selector", monitor["spec"]["selector"]["matchLabels"], template["metadata"]["labels"])
expect("its port", monitor["spec"]["podMetricsEndpoints"][0]["port"], "metrics")

print("\n".join(wrong))
sys.exit(bool(wrong))
