// SPDX-License-Identifier: Apache-2.0
// Frames to and from an interface: see frame_socket.h.
#include "frame_socket.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "process.h"

namespace lqtest {
namespace {

constexpr size_t kBatch = 64;
constexpr size_t kLargest = 16384;
constexpr size_t kAddresses = 12;  // of an Ethernet header, before the tag

sockaddr_ll link(int interface, uint16_t protocol) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = interface;
  return address;
}

// The kernel takes the outer tag off before anybody sees the frame, and keeps it beside.
void put_tag_back(msghdr& message, Bytes& frame) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata beside{};
    std::memcpy(&beside, CMSG_DATA(part), sizeof(beside));
    if ((beside.tp_status & TP_STATUS_VLAN_VALID) == 0) return;
    const std::array<uint16_t, 2> tag{htons(beside.tp_vlan_tpid), htons(beside.tp_vlan_tci)};
    const auto* bytes = reinterpret_cast<const uint8_t*>(tag.data());
    frame.insert(frame.begin() + kAddresses, bytes, bytes + sizeof(tag));
  }
}

}  // namespace

FrameSender::FrameSender(const Netns& space, int interface) : interface_(interface) {
  space.run([&] {
    socket_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));  // 0: it receives nothing
    if (!socket_.valid()) throw_errno("packet socket");
  });
}

void FrameSender::send(std::span<const Bytes> frames) {
  sockaddr_ll there = link(interface_, 0);
  while (!frames.empty()) {
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> messages{};
    const size_t count = std::min(frames.size(), kBatch);
    for (size_t i = 0; i < count; ++i) {
      parts.at(i) = {const_cast<uint8_t*>(frames[i].data()), frames[i].size()};
      messages.at(i).msg_hdr.msg_name = &there;
      messages.at(i).msg_hdr.msg_namelen = sizeof(there);
      messages.at(i).msg_hdr.msg_iov = &parts.at(i);
      messages.at(i).msg_hdr.msg_iovlen = 1;
    }
    const int sent = ::sendmmsg(socket_.get(), messages.data(), static_cast<unsigned>(count), 0);
    if (sent < 0 && errno != ENOBUFS && errno != EAGAIN)
      throw_errno("send a frame of " + std::to_string(frames.front().size()) + " bytes");
    if (sent > 0) frames = frames.subspan(static_cast<size_t>(sent));
  }
}

FrameTap::FrameTap(const Netns& space, const std::string& interface) : buffer_(kBatch * kLargest) {
  space.run([&] {
    socket_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    if (!socket_.valid()) throw_errno("packet socket");
    const int room = 256 * 1024 * 1024;
    const int on = 1;
    if (::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0 ||
        ::setsockopt(socket_.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0)
      throw_errno("set up a packet socket");
    const sockaddr_ll here = link(static_cast<int>(::if_nametoindex(interface.c_str())), ETH_P_ALL);
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof(here)) != 0)
      throw_errno("bind a packet socket to " + interface);
  });
}

std::vector<SeenFrame> FrameTap::receive(std::chrono::milliseconds wait) {
  std::vector<SeenFrame> seen;
  pollfd polled{socket_.get(), POLLIN, 0};
  if (::poll(&polled, 1, static_cast<int>(wait.count())) <= 0) return seen;
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> messages{};
  std::array<sockaddr_ll, kBatch> from{};
  struct alignas(cmsghdr) Beside {
    std::array<uint8_t, CMSG_SPACE(sizeof(tpacket_auxdata))> bytes;
  };
  std::array<Beside, kBatch> beside{};
  for (size_t i = 0; i < kBatch; ++i) {
    parts.at(i) = {&buffer_.at(i * kLargest), kLargest};
    msghdr& header = messages.at(i).msg_hdr;
    header.msg_name = &from.at(i);
    header.msg_namelen = sizeof(sockaddr_ll);
    header.msg_iov = &parts.at(i);
    header.msg_iovlen = 1;
    header.msg_control = &beside.at(i);
    header.msg_controllen = sizeof(Beside);
  }
  const int got = ::recvmmsg(socket_.get(), messages.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (got < 0 && errno != EAGAIN) throw_errno("receive frames");
  for (size_t i = 0; got > 0 && i < static_cast<size_t>(got); ++i) {
    const auto begin = buffer_.begin() + static_cast<std::ptrdiff_t>(i * kLargest);
    SeenFrame frame;
    frame.bytes.assign(begin, begin + messages.at(i).msg_len);
    frame.outgoing = from.at(i).sll_pkttype == PACKET_OUTGOING;
    put_tag_back(messages.at(i).msg_hdr, frame.bytes);
    seen.push_back(std::move(frame));
  }
  return seen;
}

uint64_t FrameTap::lost() {
  tpacket_stats stats{};
  socklen_t size = sizeof(stats);
  if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0)
    throw_errno("PACKET_STATISTICS");
  return stats.tp_drops;
}

void switch_merging_off(const Netns& space, const std::string& interface) {
  space.run([&] {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_value value{ETHTOOL_SGRO, 0};
    ifreq request{};
    std::strncpy(request.ifr_name, interface.c_str(), sizeof(request.ifr_name) - 1);
    request.ifr_data = reinterpret_cast<char*>(&value);
    if (::ioctl(socket.get(), SIOCETHTOOL, &request) != 0) throw_errno("ETHTOOL_SGRO");
  });
}

void stay_on_this_cpu() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<size_t>(::sched_getcpu()), &cpus);
  if (::sched_setaffinity(0, sizeof(cpus), &cpus) != 0) throw_errno("sched_setaffinity");
}

}  // namespace lqtest
