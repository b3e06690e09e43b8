// SPDX-License-Identifier: Apache-2.0
//
// See sample_text.h. The structured bindings make the compiler refuse this file when a struct gets
// a member that is not compared.
#include "sample_text.h"

#include <fmt/format.h>

#include <cctype>
#include <map>
#include <span>

namespace listenq::test {

namespace {

std::string text(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isprint(byte) != 0 && c != '"' && c != '\\') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  return out + '"';
}

template <class T>
requires std::is_integral_v<T> std::string text(T value) {
  return fmt::format("{}", value);
}

std::string text(NetnsId id) {
  return text(number(id));
}
std::string text(SocketCookie cookie) {
  return text(number(cookie));
}

std::string text(Family family) {
  return text(static_cast<std::underlying_type_t<Family>>(family));
}

std::string text(NicMode mode) {
  return text(static_cast<std::underlying_type_t<NicMode>>(mode));
}

std::string text(const std::array<std::uint8_t, 16>& address) {
  std::string out;
  for (const std::uint8_t byte : address) out += fmt::format("{:02x}", byte);
  return out;
}

std::string text(const std::vector<std::pair<std::string, std::uint64_t>>& counters) {
  std::string out = "[";
  for (const auto& [name, value] : counters) out += fmt::format("{}={} ", text(name), value);
  return out + "]";
}

template <class T>
std::string text(const std::optional<T>& value) {
  return value ? text(*value) : "absent";
}

void add(std::string& out, const char* name, const auto& value) {
  out += fmt::format(" {}={}", name, text(value));
}

void add_listener(std::string& out, const RawListener& listener) {
  const auto& [netns, cookie, inode, family, address, port, interface, uid, cgroup_id, cgroup,
               accept_queue_len, accept_queue_limit, syn_queue_len, syn_queue_young,
               fastopen_queue_len, fastopen_queue_limit, sk_drops, oldest_wait_ns, listen_requested,
               counts] = listener;
  out += "listener";
  add(out, "netns", netns);
  add(out, "cookie", cookie);
  add(out, "inode", inode);
  add(out, "family", family);
  add(out, "address", address);
  add(out, "port", port);
  add(out, "interface", interface);
  add(out, "uid", uid);
  add(out, "cgroup_id", cgroup_id);
  add(out, "cgroup", cgroup);
  add(out, "accept_queue_len", accept_queue_len);
  add(out, "accept_queue_limit", accept_queue_limit);
  add(out, "syn_queue_len", syn_queue_len);
  add(out, "syn_queue_young", syn_queue_young);
  add(out, "fastopen_queue_len", fastopen_queue_len);
  add(out, "fastopen_queue_limit", fastopen_queue_limit);
  add(out, "sk_drops", sk_drops);
  add(out, "oldest_wait_ns", oldest_wait_ns);
  add(out, "listen_requested", listen_requested);
  add(out, "counts", counts);
  out += '\n';
}

void add_namespace(std::string& out, const RawNamespace& raw) {
  const auto& [netns, name, sysctls, mib, mib_after, counted, nat, nics_complete] = raw;
  const auto& [somaxconn, tcp_max_syn_backlog, tcp_syncookies, tcp_abort_on_overflow,
               tcp_synack_retries, tcp_migrate_req] = sysctls;
  out += "namespace";
  add(out, "netns", netns);
  add(out, "name", name);
  add(out, "somaxconn", somaxconn);
  add(out, "tcp_max_syn_backlog", tcp_max_syn_backlog);
  add(out, "tcp_syncookies", tcp_syncookies);
  add(out, "tcp_abort_on_overflow", tcp_abort_on_overflow);
  add(out, "tcp_synack_retries", tcp_synack_retries);
  add(out, "tcp_migrate_req", tcp_migrate_req);
  add(out, "mib", mib);
  add(out, "mib_after", mib_after);
  add(out, "counted", counted);
  add(out, "nat", nat);
  add(out, "nics_complete", nics_complete);
  out += '\n';
}

void add_histogram(std::string& out, const char* name, const Histogram& histogram) {
  const auto& [counts, sum_ns, max_ns] = histogram;
  out += fmt::format(" {}={} sum {} max {}", name, fmt::join(counts, ","), sum_ns, max_ns);
}

void add_counts(std::string& out, const ListenerCounts& counts) {
  const auto& [values, accept_queue_peak, syn_queue_peak, accept_wait, handshake_time] = counts;
  out += fmt::format("counts {}", fmt::join(values, ","));
  add(out, "accept_queue_peak", accept_queue_peak);
  add(out, "syn_queue_peak", syn_queue_peak);
  add_histogram(out, "accept_wait", accept_wait);
  add_histogram(out, "handshake_time", handshake_time);
  out += '\n';
}

void add_counting(std::string& out, const Counting& counting) {
  const auto& [counters, peaks, accept_wait, handshake_time] = counting;
  out += "counting";
  add(out, "counters", counters);
  add(out, "peaks", peaks);
  add(out, "accept_wait", accept_wait);
  add(out, "handshake_time", handshake_time);
  out += '\n';
}

void add_nic(std::string& out, const RawNic& nic) {
  const auto& [netns, interface, ifindex, mode, note, passed, malformed, fragments, evictions,
               handshake_times, ports] = nic;
  out += "nic";
  add(out, "netns", netns);
  add(out, "interface", interface);
  add(out, "ifindex", ifindex);
  add(out, "mode", mode);
  add(out, "note", note);
  add(out, "passed", passed);
  add(out, "malformed", malformed);
  add(out, "fragments", fragments);
  add(out, "evictions", evictions);
  add(out, "handshake_times", handshake_times);
  out += '\n';
  for (const NicPort& each : ports) {
    const auto& [port, syn_in, syn_known, synack_out, ack_in, rst_in, handshake_time] = each;
    out += " ";
    add(out, "port", port);
    add(out, "syn_in", syn_in);
    add(out, "syn_known", syn_known);
    add(out, "synack_out", synack_out);
    add(out, "ack_in", ack_in);
    add(out, "rst_in", rst_in);
    add_histogram(out, "handshake_time", handshake_time);
    out += '\n';
  }
}

void add_owners(std::string& out, const OwnerTable& owners) {
  const auto& [pids, by_inode, processes] = owners;
  for (const auto& [inode, range] : std::map(by_inode.begin(), by_inode.end())) {
    out += fmt::format("socket {}:", inode);
    for (const std::int32_t pid : std::span(pids).subspan(range.first, range.count)) {
      out += fmt::format(" {}", pid);
    }
    out += '\n';
  }
  for (const auto& [pid, process] : std::map(processes.begin(), processes.end())) {
    const auto& [name, cgroup] = process;
    out += fmt::format("process {}:", pid);
    add(out, "name", name);
    add(out, "cgroup", cgroup);
    out += '\n';
  }
}

void add_sharer(std::string& out, const RawSharer& sharer) {
  const auto& [pid, name, threads, threads_total] = sharer;
  out += " sharer";
  add(out, "pid", pid);
  add(out, "name", name);
  add(out, "threads_total", threads_total);
  out += '\n';
  for (const RawThread& each : threads) {
    const auto& [tid, thread_name, state, wait_channel, system_call, cpu_ns, run_delay_ns] = each;
    out += "  thread";
    add(out, "tid", tid);
    add(out, "name", thread_name);
    add(out, "state", std::string(1, state));
    add(out, "wait_channel", wait_channel);
    add(out, "system_call", system_call);
    add(out, "cpu_ns", cpu_ns);
    add(out, "run_delay_ns", run_delay_ns);
    out += '\n';
  }
}

void add_close_up(std::string& out, const RawCloseUp& close_up) {
  const auto& [netns, cookie, inode, sharers, sharers_total, throttlings, waiting] = close_up;
  out += "close_up";
  add(out, "netns", netns);
  add(out, "cookie", cookie);
  add(out, "inode", inode);
  add(out, "sharers_total", sharers_total);
  out += '\n';
  for (const RawSharer& each : sharers) add_sharer(out, each);
  for (const RawThrottling& each : throttlings) {
    const auto& [cgroup, quota_ns, period_ns, periods, throttled_periods, throttled_ns] = each;
    out += " throttling";
    add(out, "cgroup", cgroup);
    add(out, "quota_ns", quota_ns);
    add(out, "period_ns", period_ns);
    add(out, "periods", periods);
    add(out, "throttled_periods", throttled_periods);
    add(out, "throttled_ns", throttled_ns);
    out += '\n';
  }
  out += waiting ? " waiting\n" : " waiting not read\n";
  for (const RawWaiting& each : waiting.value_or(std::vector<RawWaiting>())) {
    const auto& [family, address, port, received_bytes, wait_ns] = each;
    out += "  peer";
    add(out, "family", family);
    add(out, "address", address);
    add(out, "port", port);
    add(out, "received_bytes", received_bytes);
    add(out, "wait_ns", wait_ns);
    out += '\n';
  }
}

void add_programs(std::string& out, const RawSelf& self) {
  for (const RawProgram& each : self.programs) {
    const auto& [name, runs, run_ns] = each;
    out += "program";
    add(out, "name", name);
    add(out, "runs", runs);
    add(out, "run_ns", run_ns);
    out += '\n';
  }
  for (const RawMap& each : self.maps) {
    const auto& [name, entries, max_entries] = each;
    out += "map";
    add(out, "name", name);
    add(out, "entries", entries);
    add(out, "max_entries", max_entries);
    out += '\n';
  }
}

}  // namespace

std::string sample_text(const Sample& sample) {
  const auto& [wall_ns, monotonic_ns, host, kernel, backend, listeners, namespaces, owners,
               counting, counts, closed, nics, close_ups, self] = sample;
  const auto& [sample_ns, cpu_ns, memory_bytes, connection_hash_walks, lost, programs, maps] = self;
  (void)programs, (void)maps;  // below, by add_programs()
  std::string out = "sample";
  add(out, "wall_ns", wall_ns);
  add(out, "monotonic_ns", monotonic_ns);
  add(out, "host", host);
  add(out, "kernel", kernel);
  add(out, "backend", backend);
  out += '\n';
  for (const RawListener& listener : listeners) add_listener(out, listener);
  for (const RawNamespace& raw : namespaces) add_namespace(out, raw);
  if (owners != nullptr) {
    out += "owners\n";
    add_owners(out, *owners);
  }
  if (counting) add_counting(out, *counting);
  for (const ListenerCounts& each : counts) add_counts(out, each);
  for (const RawClosed& each : closed) {
    const auto& [listener, closed_ns] = each;
    out += "closed";
    add(out, "monotonic_ns", closed_ns);
    out += ' ';
    add_listener(out, listener);
  }
  for (const RawNic& each : nics) add_nic(out, each);
  for (const RawCloseUp& each : close_ups) add_close_up(out, each);
  out += "self";
  add(out, "sample_ns", sample_ns);
  add(out, "cpu_ns", cpu_ns);
  add(out, "memory_bytes", memory_bytes);
  add(out, "connection_hash_walks", connection_hash_walks);
  add(out, "lost", lost);
  out += '\n';
  add_programs(out, self);
  return out;
}

}  // namespace listenq::test
