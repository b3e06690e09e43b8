// SPDX-License-Identifier: Apache-2.0
//
// See encode.h. The key names here are the format: they outlive renames in the C++ structs, and a
// changed one breaks every recording made before. The structured bindings make the compiler refuse
// this file when a struct gets a member that nothing here writes.
#include "record/encode.h"

#include <algorithm>
#include <cassert>
#include <nlohmann/json.hpp>
#include <span>

#include "util/text.h"

namespace listenq::recording {

namespace {

using Json = nlohmann::ordered_json;  // keeps the order, and builds faster than the sorted one

Json bytes_of(std::span<const std::uint8_t> bytes) {
  return Json::binary(Bytes(bytes.begin(), bytes.end()));
}

/// CBOR text must be UTF-8, names from the kernel need not be: those become byte strings.
Json text_of(const std::string& text) {
  if (printable(text) == text) return text;
  return Json::binary(Bytes(text.begin(), text.end()));
}

/// An absent value has no key.
template <class T>
void put(Json& object, const char* key, const std::optional<T>& value) {
  if (value) object[key] = *value;
}

void put(Json& object, const char* key, const std::optional<std::string>& value) {
  if (value) object[key] = text_of(*value);
}

const char* family_name(Family family) {
  switch (family) {
    case Family::ipv4:
      return "ipv4";
    case Family::ipv6:
      return "ipv6";
    case Family::dual:
      break;
  }
  return "dual";
}

Json listener_to_json(const RawListener& listener) {
  const auto& [netns, cookie, inode, family, address, port, interface, uid, cgroup_id, cgroup,
               accept_queue_len, accept_queue_limit, syn_queue_len, syn_queue_young,
               fastopen_queue_len, fastopen_queue_limit, sk_drops, oldest_wait_ns, listen_requested,
               counts] = listener;
  Json object = Json::object();
  object["netns"] = number(netns);
  if (cookie) object["cookie"] = number(*cookie);
  object["inode"] = inode;
  object["family"] = family_name(family);
  object["address"] = bytes_of(std::span(address).first(family == Family::ipv4 ? 4 : 16));
  object["port"] = port;
  if (!interface.empty()) object["interface"] = text_of(interface);
  put(object, "uid", uid);
  put(object, "cgroup_id", cgroup_id);
  put(object, "cgroup", cgroup);
  object["accept_queue_len"] = accept_queue_len;
  object["accept_queue_limit"] = accept_queue_limit;
  put(object, "syn_queue_len", syn_queue_len);
  put(object, "syn_queue_young", syn_queue_young);
  put(object, "fastopen_queue_len", fastopen_queue_len);
  put(object, "fastopen_queue_limit", fastopen_queue_limit);
  put(object, "sk_drops", sk_drops);
  put(object, "oldest_wait_ns", oldest_wait_ns);
  put(object, "listen_requested", listen_requested);
  put(object, "counts", counts);
  return object;
}

Json sysctls_to_json(const Sysctls& sysctls) {
  const auto& [somaxconn, tcp_max_syn_backlog, tcp_syncookies, tcp_abort_on_overflow,
               tcp_synack_retries, tcp_migrate_req] = sysctls;
  Json object = Json::object();
  put(object, "somaxconn", somaxconn);
  put(object, "tcp_max_syn_backlog", tcp_max_syn_backlog);
  put(object, "tcp_syncookies", tcp_syncookies);
  put(object, "tcp_abort_on_overflow", tcp_abort_on_overflow);
  put(object, "tcp_synack_retries", tcp_synack_retries);
  put(object, "tcp_migrate_req", tcp_migrate_req);
  return object;
}

/// [[name, value], ...] and not a map: the order is the kernel's and is kept.
Json counters_to_json(const std::vector<std::pair<std::string, std::uint64_t>>& counters) {
  Json list = Json::array();
  for (const auto& [name, value] : counters) {
    Json pair = Json::array();
    pair.push_back(text_of(name));
    pair.push_back(value);
    list.push_back(std::move(pair));
  }
  return list;
}

Json namespace_to_json(const RawNamespace& raw) {
  const auto& [netns, name, sysctls, mib, mib_after, counted, nat, nics_complete] = raw;
  Json object = Json::object();
  object["netns"] = number(netns);
  put(object, "name", name);
  object["sysctls"] = sysctls_to_json(sysctls);
  if (mib) object["mib"] = counters_to_json(*mib);
  if (mib_after) object["mib_after"] = counters_to_json(*mib_after);
  put(object, "counted", counted);
  put(object, "nat", nat);
  put(object, "nics_complete", nics_complete);
  return object;
}

Json counting_to_json(const Counting& counting) {
  const auto& [counters, peaks, accept_wait, handshake_time] = counting;
  static_assert(sizeof counters * 8 >= kCounters);
  Json names = Json::array();
  for (std::size_t i = 0; i < kCounters; ++i) {
    const auto counter = static_cast<Counter>(i);
    if (counting.counts(counter)) names.push_back(counter_name(counter));
  }
  Json object = Json::object();
  object["counters"] = std::move(names);
  object["peaks"] = peaks;
  object["accept_wait"] = accept_wait;
  object["handshake_time"] = handshake_time;
  return object;
}

/// Nothing for what is 0: of most listeners little is counted.
void put_count(Json& object, std::string_view key, std::uint64_t value) {
  if (value != 0) object[std::string(key)] = value;
}

void put_histogram(Json& object, const char* key, const Histogram& histogram) {
  const auto& [counts, sum_ns, max_ns] = histogram;
  Json buckets = Json::array();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] != 0) buckets.push_back({i, counts[i]});
  }
  if (buckets.empty() && sum_ns == 0 && max_ns == 0) return;
  object[key] = {{"buckets", std::move(buckets)}, {"sum_ns", sum_ns}, {"max_ns", max_ns}};
}

Json counts_to_json(const ListenerCounts& counts) {
  const auto& [values, accept_queue_peak, syn_queue_peak, accept_wait, handshake_time] = counts;
  Json object = Json::object();
  for (std::size_t i = 0; i < values.size(); ++i) {
    put_count(object, counter_name(static_cast<Counter>(i)), values[i]);
  }
  put_count(object, "accept_queue_peak", accept_queue_peak);
  put_count(object, "syn_queue_peak", syn_queue_peak);
  put_histogram(object, "accept_wait", accept_wait);
  put_histogram(object, "handshake_time", handshake_time);
  return object;
}

Json nic_port_to_json(const NicPort& of) {
  const auto& [port, syn_in, syn_known, synack_out, ack_in, rst_in, handshake_time] = of;
  Json object = Json::object();
  object["port"] = port;
  put_count(object, "syn_in", syn_in);
  put_count(object, "syn_known", syn_known);
  put_count(object, "synack_out", synack_out);
  put_count(object, "ack_in", ack_in);
  put_count(object, "rst_in", rst_in);
  put_histogram(object, "handshake_time", handshake_time);
  return object;
}

Json closed_to_json(const RawClosed& raw) {
  const auto& [listener, monotonic_ns] = raw;
  Json object = Json::object();
  object["monotonic_ns"] = monotonic_ns;
  object["listener"] = listener_to_json(listener);
  return object;
}

/// No key for a list of nothing.
template <class List, class ToJson>
void put_list(Json& object, const char* key, const List& list, ToJson to_json) {
  if (list.empty()) return;
  Json& elements = object[key] = Json::array();
  for (const auto& element : list) elements.push_back(to_json(element));
}

Json nic_to_json(const RawNic& raw) {
  const auto& [netns, interface, ifindex, mode, note, passed, malformed, fragments, evictions,
               handshake_times, ports] = raw;
  Json object = Json::object();
  object["netns"] = number(netns);
  object["interface"] = text_of(interface);
  object["ifindex"] = ifindex;
  if (mode) object["mode"] = nic_mode_name(*mode);
  if (!note.empty()) object["note"] = text_of(note);
  put_count(object, "passed", passed);
  put_count(object, "malformed", malformed);
  put_count(object, "fragments", fragments);
  put(object, "evictions", evictions);
  object["handshake_times"] = handshake_times;
  put_list(object, "ports", ports, nic_port_to_json);
  return object;
}

Json thread_to_json(const RawThread& thread) {
  const auto& [tid, name, state, wait_channel, system_call, cpu_ns, run_delay_ns] = thread;
  Json object = Json::object();
  object["tid"] = tid;
  object["name"] = text_of(name);
  object["state"] = text_of(std::string(1, state));
  put(object, "wait_channel", wait_channel);
  put(object, "system_call", system_call);
  put(object, "cpu_ns", cpu_ns);
  put(object, "run_delay_ns", run_delay_ns);
  return object;
}

Json sharer_to_json(const RawSharer& sharer) {
  const auto& [pid, name, threads, threads_total] = sharer;
  Json object = Json::object();
  object["pid"] = pid;
  object["name"] = text_of(name);
  put_list(object, "threads", threads, thread_to_json);
  object["threads_total"] = threads_total;
  return object;
}

Json throttling_to_json(const RawThrottling& throttling) {
  const auto& [cgroup, quota_ns, period_ns, periods, throttled_periods, throttled_ns] = throttling;
  Json object = Json::object();
  object["cgroup"] = text_of(cgroup);
  object["quota_ns"] = quota_ns;
  object["period_ns"] = period_ns;
  put_count(object, "periods", periods);
  put_count(object, "throttled_periods", throttled_periods);
  put_count(object, "throttled_ns", throttled_ns);
  return object;
}

Json waiting_to_json(const RawWaiting& waiting) {
  const auto& [family, address, port, received_bytes, wait_ns] = waiting;
  Json object = Json::object();
  object["family"] = family_name(family);
  object["address"] = bytes_of(std::span(address).first(family == Family::ipv4 ? 4 : 16));
  object["port"] = port;
  put(object, "received_bytes", received_bytes);
  put(object, "wait_ns", wait_ns);
  return object;
}

Json close_up_to_json(const RawCloseUp& close_up) {
  const auto& [netns, cookie, inode, sharers, sharers_total, throttlings, waiting] = close_up;
  Json object = Json::object();
  object["netns"] = number(netns);
  if (cookie) object["cookie"] = number(*cookie);
  object["inode"] = inode;
  put_list(object, "sharers", sharers, sharer_to_json);
  object["sharers_total"] = sharers_total;
  put_list(object, "throttlings", throttlings, throttling_to_json);
  // Nobody waits, or nothing tells: an empty list is kept.
  if (waiting) {
    Json& list = object["waiting"] = Json::array();
    for (const RawWaiting& one : *waiting) list.push_back(waiting_to_json(one));
  }
  return object;
}

Json program_to_json(const RawProgram& program) {
  const auto& [name, runs, run_ns] = program;
  Json object = Json::object();
  object["name"] = text_of(name);
  put(object, "runs", runs);
  put(object, "run_ns", run_ns);
  return object;
}

Json map_to_json(const RawMap& map) {
  const auto& [name, entries, max_entries] = map;
  Json object = Json::object();
  object["name"] = text_of(name);
  object["entries"] = entries;
  object["max_entries"] = max_entries;
  return object;
}

Json self_to_json(const RawSelf& self) {
  const auto& [sample_ns, cpu_ns, memory_bytes, connection_hash_walks, lost, programs, maps] = self;
  Json object = Json::object();
  object["sample_ns"] = sample_ns;
  object["cpu_ns"] = cpu_ns;
  object["memory_bytes"] = memory_bytes;
  object["connection_hash_walks"] = connection_hash_walks;
  object["lost"] = counters_to_json(lost);
  put_list(object, "programs", programs, program_to_json);
  put_list(object, "maps", maps, map_to_json);
  return object;
}

template <class Map>
auto sorted_keys(const Map& map) {
  std::vector<typename Map::key_type> keys;
  keys.reserve(map.size());
  for (const auto& entry : map) keys.push_back(entry.first);
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace

Bytes encode_owners(const OwnerTable& owners) {
  const auto& [pids, by_inode, processes] = owners;
  Json sockets = Json::array();
  for (const std::uint64_t inode : sorted_keys(by_inode)) {
    const OwnerTable::Range range = by_inode.at(inode);
    assert(range.first <= pids.size() && range.count <= pids.size() - range.first);
    Json holders = Json::array();
    for (const std::int32_t pid : std::span(pids).subspan(range.first, range.count)) {
      holders.push_back(pid);
    }
    sockets.push_back({{"inode", inode}, {"pids", std::move(holders)}});
  }
  Json named = Json::array();
  for (const std::int32_t pid : sorted_keys(processes)) {
    const auto& [name, cgroup] = processes.at(pid);
    Json process = {{"pid", pid}, {"name", text_of(name)}};
    put(process, "cgroup", cgroup);
    named.push_back(std::move(process));
  }
  Json object = Json::object();
  object["sockets"] = std::move(sockets);
  object["processes"] = std::move(named);
  return Json::to_cbor(object);
}

Bytes encode_sample(const Sample& sample, std::uint64_t owner_table, const Bytes* owner_bytes) {
  const auto& [wall_ns, monotonic_ns, host, kernel, backend, listeners, namespaces, owners,
               counting, counts, closed, nics, close_ups, self] = sample;
  assert((owners != nullptr) == (owner_table != 0));
  Json object = Json::object();
  object["wall_ns"] = wall_ns;
  object["monotonic_ns"] = monotonic_ns;
  object["host"] = text_of(host);
  object["kernel"] = text_of(kernel);
  object["backend"] = text_of(backend);
  Json& listener_list = object["listeners"] = Json::array();
  for (const RawListener& listener : listeners) listener_list.push_back(listener_to_json(listener));
  Json& namespace_list = object["namespaces"] = Json::array();
  for (const RawNamespace& raw : namespaces) namespace_list.push_back(namespace_to_json(raw));
  if (owner_table != 0) object["owner_table"] = owner_table;
  // The bytes are kept for comparison anyway, so that they go in as they are: CBOR inside CBOR.
  if (owner_bytes != nullptr) object["owners"] = bytes_of(*owner_bytes);
  if (counting) object["counting"] = counting_to_json(*counting);
  put_list(object, "counts", counts, counts_to_json);
  put_list(object, "closed", closed, closed_to_json);
  put_list(object, "nics", nics, nic_to_json);
  put_list(object, "close_ups", close_ups, close_up_to_json);
  object["self"] = self_to_json(self);
  return Json::to_cbor(object);
}

}  // namespace listenq::recording
