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
               fastopen_queue_len, fastopen_queue_limit, sk_drops] = listener;
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
  const auto& [netns, name, sysctls, mib] = raw;
  Json object = Json::object();
  object["netns"] = number(netns);
  put(object, "name", name);
  object["sysctls"] = sysctls_to_json(sysctls);
  if (mib) object["mib"] = counters_to_json(*mib);
  return object;
}

Json self_to_json(const RawSelf& self) {
  const auto& [sample_ns, cpu_ns, memory_bytes, connection_hash_walks, lost] = self;
  Json object = Json::object();
  object["sample_ns"] = sample_ns;
  object["cpu_ns"] = cpu_ns;
  object["memory_bytes"] = memory_bytes;
  object["connection_hash_walks"] = connection_hash_walks;
  object["lost"] = counters_to_json(lost);
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
  const auto& [wall_ns, monotonic_ns, host, kernel, backend, listeners, namespaces, owners, self] =
      sample;
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
  object["self"] = self_to_json(self);
  return Json::to_cbor(object);
}

}  // namespace listenq::recording
