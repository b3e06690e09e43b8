// SPDX-License-Identifier: Apache-2.0
// Container and pod from cgroup paths as the runtimes write them.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "model/derive.h"

namespace listenq {
namespace {

const std::string kA(64, 'a');
const std::string kB = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kUid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
const std::string kUidUnderscored = "1b4e28ba_2fa1_11d2_883f_0016d3cca427";

struct Case {
  std::string path;
  std::string container;
  std::string pod;
};

TEST(CgroupNames, AreFoundInWhatRuntimesWrite) {
  const Case cases[] = {
      {"/system.slice/docker-" + kA + ".scope", kA, ""},
      {"/docker/" + kA, kA, ""},
      {"/system.slice/docker-" + kA + ".scope/init.scope", kA, ""},
      {"/kubepods/besteffort/pod" + kUid + "/" + kB, kB, kUid},
      {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kUidUnderscored +
           ".slice/cri-containerd-" + kB + ".scope",
       kB, kUid},
      {"/kubepods.slice/kubepods-pod" + kUidUnderscored + ".slice/crio-" + kB + ".scope", kB, kUid},
      {"/system.slice/containerd.service/kubepods-besteffort-pod" + kUidUnderscored +
           ".slice:cri-containerd:" + kB,
       kB, kUid},
      // A static pod: its uid has no dashes.
      {"/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" + kB, kB,
       "0123456789abcdef0123456789abcdef"},
      {"/machine.slice/libpod-" + kB + ".scope/container", kB, ""},
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kB + ".scope", kB, ""},
      {"/ecs/0123456789abcdef0123456789abcdef/" + kB, kB, ""},
      {"/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1234567890",
       "0123456789abcdef0123456789abcdef-1234567890", ""},
      {"/garden/1b4e28ba-2fa1-11d2-883f-0016", "1b4e28ba-2fa1-11d2-883f-0016", ""},
      {"/lxc/web", "web", ""},
      {"/lxc.payload.web", "web", ""},
      {"/lxc.payload.web/system.slice/nginx.service", "web", ""},
      {"/lxc/web/ns", "web", ""},
      {kB, kB, ""},
  };
  for (const Case& c : cases) {
    const CgroupNames names = names_in_cgroup(c.path);
    EXPECT_EQ(names.container, c.container) << c.path;
    EXPECT_EQ(names.pod, c.pod) << c.path;
  }
}

TEST(CgroupNames, InnermostCounts) {
  const std::string node = "/system.slice/docker-" + kA + ".scope";
  const Case cases[] = {
      // Kubernetes in a container: the pod, and the container in it.
      {node +
           "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
           "kubelet-kubepods-besteffort-pod" +
           kUidUnderscored + ".slice/cri-containerd-" + kB + ".scope",
       kB, kUid},
      // The node's own services are in the outer container and in no pod.
      {node + "/system.slice/kubelet.service", kA, ""},
      // In the pod but in none of its containers: the node is not its container.
      {node + "/kubepods/pod" + kUid, "", kUid},
      // A container started within a container of a pod.
      {"/kubepods/pod" + kUid + "/" + kA + "/docker/" + kB, kB, kUid},
  };
  for (const Case& c : cases) {
    const CgroupNames names = names_in_cgroup(c.path);
    EXPECT_EQ(names.container, c.container) << c.path;
    EXPECT_EQ(names.pod, c.pod) << c.path;
  }
}

TEST(CgroupNames, AreNotFoundElsewhere) {
  std::string upper = kB;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c; });
  for (const std::string& path :
       {std::string(), std::string("/"), std::string("/system.slice/nginx.service"),
        std::string("/user.slice/user-1000.slice/session-3.scope"),
        std::string("/system.slice/docker.service"), std::string("/lxc"), std::string("/kubepods"),
        std::string("/lxc.monitor.web"), std::string("/kubepods/podcast"),
        "/machine.slice/libpod-conmon-" + kB + ".scope", "/machine.slice/crio-conmon-" + kB,
        "/docker/" + kB.substr(1), "/docker/" + kB + "0", "/docker/" + upper,
        "/kubepods/pod" + kUid.substr(1), "/my-pod" + kUid + ".slice"}) {
    EXPECT_EQ(names_in_cgroup(path).container, "") << path;
    EXPECT_EQ(names_in_cgroup(path).pod, "") << path;
  }
}

}  // namespace
}  // namespace listenq
