// SPDX-License-Identifier: Apache-2.0
//
// See decode.h.
#include "record/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace listenq::recording {

namespace {

using Json = nlohmann::json;

/// Where we are and the first thing found wrong; whatever is read after that does not matter.
struct Problem {
  std::string text;

  void found(const std::string& what) {
    if (text.empty()) text = what;
  }
};

bool to_value(const Json& json, std::string& out) {
  if (const auto* text = json.get_ptr<const Json::string_t*>()) {
    out = *text;
    return true;
  }
  if (!json.is_binary()) return false;
  const auto& bytes = json.get_binary();
  out.assign(bytes.begin(), bytes.end());
  return true;
}

bool to_value(const Json& json, bool& out) {
  const auto* flag = json.get_ptr<const Json::boolean_t*>();
  if (flag == nullptr) return false;
  out = *flag;
  return true;
}

template <class T>
requires std::is_integral_v<T>
bool to_value(const Json& json, T& out) {
  if (const auto* positive = json.get_ptr<const std::uint64_t*>()) {
    if (*positive > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return false;
    out = static_cast<T>(*positive);
    return true;
  }
  const auto* any = json.get_ptr<const std::int64_t*>();
  if (any == nullptr || std::is_unsigned_v<T> ||
      *any < static_cast<std::int64_t>(std::numeric_limits<T>::min())) {
    return false;
  }
  out = static_cast<T>(*any);
  return true;
}

bool to_value(const Json& json, NetnsId& out) {
  std::uint32_t value = 0;
  if (!to_value(json, value)) return false;
  out = NetnsId{value};
  return true;
}

bool to_value(const Json& json, SocketCookie& out) {
  std::uint64_t value = 0;
  if (!to_value(json, value)) return false;
  out = SocketCookie{value};
  return true;
}

bool to_value(const Json& json, Family& out) {
  const auto* text = json.get_ptr<const Json::string_t*>();
  if (text == nullptr) return false;
  if (*text == "ipv4") {
    out = Family::ipv4;
  } else if (*text == "ipv6") {
    out = Family::ipv6;
  } else if (*text == "dual") {
    out = Family::dual;
  } else {
    return false;
  }
  return true;
}

bool to_value(const Json& json, NicMode& out) {
  const auto* text = json.get_ptr<const Json::string_t*>();
  if (text == nullptr) return false;
  for (const NicMode mode : {NicMode::tc, NicMode::xdp_generic, NicMode::xdp}) {
    if (*text != nic_mode_name(mode)) continue;
    out = mode;
    return true;
  }
  return false;
}

bool to_value(const Json& json, std::vector<std::pair<std::string, std::uint64_t>>& out) {
  if (!json.is_array()) return false;
  for (const Json& item : json) {
    std::pair<std::string, std::uint64_t> counter;
    if (!item.is_array() || item.size() != 2 || !to_value(item[0], counter.first) ||
        !to_value(item[1], counter.second)) {
      return false;
    }
    out.push_back(std::move(counter));
  }
  return true;
}

/// One map of the sample: "listeners[17]" and its members.
class Object {
 public:
  static constexpr std::size_t kNoIndex = std::numeric_limits<std::size_t>::max();

  Object(const Json& json, const char* name, std::size_t index, Problem& problem)
      : json_(json), name_(name), index_(index), problem_(problem) {
    if (!json.is_object()) problem_.found(where("") + " is not a map");
  }

  /// nullptr when there is none.
  [[nodiscard]] const Json* find(const char* key) const {
    if (!json_.is_object()) return nullptr;
    const auto found = json_.find(key);
    return found == json_.end() ? nullptr : &*found;
  }

  template <class T>
  void required(const char* key, T& out) const {
    const Json* value = find(key);
    if (value == nullptr) {
      problem_.found(where(key) + " is missing");
    } else if (!to_value(*value, out)) {
      problem_.found(where(key) + " has a wrong type or is out of range");
    }
  }

  /// Missing: `out` stays as it is.
  template <class T>
  void optional(const char* key, T& out) const {
    if (find(key) != nullptr) required(key, out);
  }

  template <class T>
  void optional(const char* key, std::optional<T>& out) const {
    if (find(key) != nullptr) required(key, out.emplace());
  }

  /// Calls `element(json, index)` for each element of an array that must be there.
  template <class Element>
  void each(const char* key, Element element) const {
    if (find(key) == nullptr) return problem_.found(where(key) + " is missing");
    each_if_any(key, element);
  }

  /// The same; no array is one of nothing.
  template <class Element>
  void each_if_any(const char* key, Element element) const {
    const Json* list = find(key);
    if (list == nullptr) return;
    if (!list->is_array()) return problem_.found(where(key) + " is not an array");
    for (std::size_t i = 0; i < list->size() && problem_.text.empty(); ++i) element((*list)[i], i);
  }

  void wrong(const char* key, const char* what) const { problem_.found(where(key) + what); }

 private:
  [[nodiscard]] std::string where(std::string_view key) const {
    std::string text = index_ == kNoIndex ? name_ : fmt::format("{}[{}]", name_, index_);
    if (!text.empty() && !key.empty()) text += '.';
    return text.append(key);
  }

  const Json& json_;
  const char* name_;
  std::size_t index_;
  Problem& problem_;
};

template <class Bytes>
void decode_address(const Object& object, Family family, Bytes& out) {
  const Json* address = object.find("address");
  const std::size_t address_bytes = family == Family::ipv4 ? 4 : 16;
  if (address == nullptr || !address->is_binary() ||
      address->get_binary().size() != address_bytes) {
    return object.wrong("address", " is not an address of its family");
  }
  std::copy(address->get_binary().begin(), address->get_binary().end(), out.begin());
}

RawListener decode_listener(const Object& object) {
  RawListener raw;
  object.required("netns", raw.netns);
  object.optional("cookie", raw.cookie);
  object.required("inode", raw.inode);
  object.required("family", raw.family);
  decode_address(object, raw.family, raw.address);
  object.required("port", raw.port);
  object.optional("interface", raw.interface);
  object.optional("uid", raw.uid);
  object.optional("cgroup_id", raw.cgroup_id);
  object.optional("cgroup", raw.cgroup);
  object.required("accept_queue_len", raw.accept_queue_len);
  object.required("accept_queue_limit", raw.accept_queue_limit);
  object.optional("syn_queue_len", raw.syn_queue_len);
  object.optional("syn_queue_young", raw.syn_queue_young);
  object.optional("fastopen_queue_len", raw.fastopen_queue_len);
  object.optional("fastopen_queue_limit", raw.fastopen_queue_limit);
  object.optional("sk_drops", raw.sk_drops);
  object.optional("oldest_wait_ns", raw.oldest_wait_ns);
  object.optional("listen_requested", raw.listen_requested);
  object.optional("counts", raw.counts);
  return raw;
}

void decode_sysctls(const Object& object, Sysctls& out) {
  object.optional("somaxconn", out.somaxconn);
  object.optional("tcp_max_syn_backlog", out.tcp_max_syn_backlog);
  object.optional("tcp_syncookies", out.tcp_syncookies);
  object.optional("tcp_abort_on_overflow", out.tcp_abort_on_overflow);
  object.optional("tcp_synack_retries", out.tcp_synack_retries);
  object.optional("tcp_migrate_req", out.tcp_migrate_req);
}

RawNamespace decode_namespace(const Object& object, std::size_t index, Problem& problem) {
  RawNamespace raw;
  object.required("netns", raw.netns);
  object.optional("name", raw.name);
  if (const Json* sysctls = object.find("sysctls")) {
    decode_sysctls(Object(*sysctls, "sysctls of namespace ", index, problem), raw.sysctls);
  }
  object.optional("mib", raw.mib);
  object.optional("mib_after", raw.mib_after);
  object.optional("counted", raw.counted);
  object.optional("nat", raw.nat);
  object.optional("nics_complete", raw.nics_complete);
  return raw;
}

/// A counter of a newer version is one that we do not know.
Counting decode_counting(const Object& object) {
  Counting counting;
  object.each("counters", [&](const Json& json, std::size_t) {
    std::string name;
    if (!to_value(json, name)) return object.wrong("counters", " are not names");
    for (std::size_t i = 0; i < kCounters; ++i) {
      const auto counter = static_cast<Counter>(i);
      if (name == counter_name(counter)) counting.add(counter);
    }
  });
  object.optional("peaks", counting.peaks);
  object.optional("accept_wait", counting.accept_wait);
  object.optional("handshake_time", counting.handshake_time);
  return counting;
}

void decode_histogram(const Object& counts, const char* key, Problem& problem, Histogram& out) {
  const Json* json = counts.find(key);
  if (json == nullptr) return;
  const Object object(*json, key, Object::kNoIndex, problem);
  std::size_t next = 0;  // buckets ascend
  object.each("buckets", [&](const Json& pair, std::size_t) {
    std::size_t bucket = 0;
    std::uint64_t count = 0;
    if (!pair.is_array() || pair.size() != 2 || !to_value(pair[0], bucket) ||
        !to_value(pair[1], count) || bucket < next || bucket >= Histogram::kBuckets) {
      return object.wrong("buckets", " are not ascending [bucket, count]");
    }
    out.counts[bucket] = count;
    next = bucket + 1;
  });
  object.required("sum_ns", out.sum_ns);
  object.required("max_ns", out.max_ns);
}

ListenerCounts decode_counts(const Object& object, Problem& problem) {
  ListenerCounts counts;
  for (std::size_t i = 0; i < kCounters; ++i) {
    const std::string name(counter_name(static_cast<Counter>(i)));
    object.optional(name.c_str(), counts.values[i]);
  }
  object.optional("accept_queue_peak", counts.accept_queue_peak);
  object.optional("syn_queue_peak", counts.syn_queue_peak);
  decode_histogram(object, "accept_wait", problem, counts.accept_wait);
  decode_histogram(object, "handshake_time", problem, counts.handshake_time);
  return counts;
}

NicPort decode_nic_port(const Object& object, Problem& problem) {
  NicPort of;
  object.required("port", of.port);
  object.optional("syn_in", of.syn_in);
  object.optional("syn_known", of.syn_known);
  object.optional("synack_out", of.synack_out);
  object.optional("ack_in", of.ack_in);
  object.optional("rst_in", of.rst_in);
  decode_histogram(object, "handshake_time", problem, of.handshake_time);
  return of;
}

RawNic decode_nic(const Object& object, std::size_t index, Problem& problem) {
  RawNic raw;
  object.required("netns", raw.netns);
  object.required("interface", raw.interface);
  object.required("ifindex", raw.ifindex);
  object.optional("mode", raw.mode);
  object.optional("note", raw.note);
  object.optional("passed", raw.passed);
  object.optional("malformed", raw.malformed);
  object.optional("fragments", raw.fragments);
  object.optional("evictions", raw.evictions);
  object.optional("handshake_times", raw.handshake_times);
  object.each_if_any("ports", [&](const Json& item, std::size_t) {
    const NicPort of = decode_nic_port(Object(item, "ports of nic ", index, problem), problem);
    if (!raw.ports.empty() && raw.ports.back().port >= of.port) {
      object.wrong("ports", " are not ascending");
    }
    raw.ports.push_back(of);
  });
  return raw;
}

RawThread decode_thread(const Object& object) {
  RawThread thread;
  object.required("tid", thread.tid);
  if (thread.tid <= 0) object.wrong("tid", " is not a thread id");
  object.required("name", thread.name);
  std::string state;
  object.required("state", state);
  if (state.size() != 1) {
    object.wrong("state", " is not one letter");
  } else {
    thread.state = state.front();
  }
  object.optional("wait_channel", thread.wait_channel);
  object.optional("system_call", thread.system_call);
  object.optional("cpu_ns", thread.cpu_ns);
  object.optional("run_delay_ns", thread.run_delay_ns);
  return thread;
}

RawSharer decode_sharer(const Object& object, Problem& problem) {
  RawSharer sharer;
  object.required("pid", sharer.pid);
  if (sharer.pid <= 0) object.wrong("pid", " is not a process id");
  object.required("name", sharer.name);
  object.each_if_any("threads", [&](const Json& item, std::size_t index) {
    const RawThread thread = decode_thread(Object(item, "threads of sharer ", index, problem));
    if (!sharer.threads.empty() && sharer.threads.back().tid >= thread.tid) {
      object.wrong("threads", " are not ascending");
    }
    sharer.threads.push_back(thread);
  });
  object.required("threads_total", sharer.threads_total);
  return sharer;
}

RawThrottling decode_throttling(const Object& object) {
  RawThrottling throttling;
  object.required("cgroup", throttling.cgroup);
  object.required("quota_ns", throttling.quota_ns);
  object.required("period_ns", throttling.period_ns);
  if (throttling.period_ns == 0) object.wrong("period_ns", " is 0");
  object.optional("periods", throttling.periods);
  object.optional("throttled_periods", throttling.throttled_periods);
  object.optional("throttled_ns", throttling.throttled_ns);
  return throttling;
}

RawWaiting decode_waiting(const Object& object) {
  RawWaiting waiting;
  object.required("family", waiting.family);
  if (waiting.family == Family::dual) object.wrong("family", " is not that of a peer");
  decode_address(object, waiting.family, waiting.address);
  object.required("port", waiting.port);
  object.optional("received_bytes", waiting.received_bytes);
  object.optional("wait_ns", waiting.wait_ns);
  return waiting;
}

RawCloseUp decode_close_up(const Object& object, Problem& problem) {
  RawCloseUp close_up;
  object.required("netns", close_up.netns);
  object.optional("cookie", close_up.cookie);
  object.required("inode", close_up.inode);
  object.each_if_any("sharers", [&](const Json& item, std::size_t index) {
    const RawSharer sharer = decode_sharer(Object(item, "sharers", index, problem), problem);
    if (!close_up.sharers.empty() && close_up.sharers.back().pid >= sharer.pid) {
      object.wrong("sharers", " are not ascending");
    }
    close_up.sharers.push_back(sharer);
  });
  object.required("sharers_total", close_up.sharers_total);
  object.each_if_any("throttlings", [&](const Json& item, std::size_t index) {
    close_up.throttlings.push_back(decode_throttling(Object(item, "throttlings", index, problem)));
  });
  if (object.find("waiting") != nullptr) close_up.waiting.emplace();
  object.each_if_any("waiting", [&](const Json& item, std::size_t index) {
    close_up.waiting->push_back(decode_waiting(Object(item, "waiting", index, problem)));
  });
  return close_up;
}

void decode_self(const Object& self, Problem& problem, RawSelf& out) {
  self.required("sample_ns", out.sample_ns);
  self.required("cpu_ns", out.cpu_ns);
  self.required("memory_bytes", out.memory_bytes);
  self.required("connection_hash_walks", out.connection_hash_walks);
  self.required("lost", out.lost);
  self.each_if_any("programs", [&](const Json& item, std::size_t index) {
    const Object object(item, "programs", index, problem);
    RawProgram& program = out.programs.emplace_back();
    object.required("name", program.name);
    object.optional("runs", program.runs);
    object.optional("run_ns", program.run_ns);
  });
  self.each_if_any("maps", [&](const Json& item, std::size_t index) {
    const Object object(item, "maps", index, problem);
    RawMap& map = out.maps.emplace_back();
    object.required("name", map.name);
    object.required("entries", map.entries);
    object.required("max_entries", map.max_entries);
  });
}

/// All that points into Sample::counts must point at something.
void check_indexes(const Sample& sample, Problem& problem) {
  const auto check = [&](const char* list, std::size_t index, const char* key, const auto& value) {
    if (!value || *value < sample.counts.size()) return;
    problem.found(fmt::format("{}[{}].{} is beyond the end of counts", list, index, key));
  };
  for (std::size_t i = 0; i < sample.listeners.size(); ++i) {
    check("listeners", i, "counts", sample.listeners[i].counts);
  }
  for (std::size_t i = 0; i < sample.namespaces.size(); ++i) {
    check("namespaces", i, "counted", sample.namespaces[i].counted);
  }
  for (std::size_t i = 0; i < sample.closed.size(); ++i) {
    check("closed", i, "listener.counts", sample.closed[i].listener.counts);
  }
}

/// What was counted and what closed; none of it is in recordings of before.
void decode_counted(const Object& root, Sample& sample, Problem& problem) {
  if (const Json* counting = root.find("counting")) {
    sample.counting = decode_counting(Object(*counting, "counting", Object::kNoIndex, problem));
  }
  root.each_if_any("counts", [&](const Json& item, std::size_t index) {
    sample.counts.push_back(decode_counts(Object(item, "counts", index, problem), problem));
  });
  root.each_if_any("closed", [&](const Json& item, std::size_t index) {
    const Object object(item, "closed", index, problem);
    RawClosed& closed = sample.closed.emplace_back();
    object.required("monotonic_ns", closed.monotonic_ns);
    const Json* listener = object.find("listener");
    if (listener == nullptr) return object.wrong("listener", " is missing");
    closed.listener = decode_listener(Object(*listener, "listener of closed ", index, problem));
  });
  check_indexes(sample, problem);
}

void decode_holders(const Object& object, OwnerTable& out) {
  std::uint64_t inode = 0;
  object.required("inode", inode);
  const std::size_t first = out.pids.size();
  object.each("pids", [&](const Json& json, std::size_t) {
    std::int32_t pid = 0;
    if (!to_value(json, pid) || pid <= 0 || (out.pids.size() > first && out.pids.back() >= pid)) {
      return object.wrong("pids", " are not ascending process ids");
    }
    out.pids.push_back(pid);
  });
  const OwnerTable::Range range{static_cast<std::uint32_t>(first),
                                static_cast<std::uint32_t>(out.pids.size() - first)};
  if (!out.by_inode.emplace(inode, range).second) object.wrong("inode", " comes twice");
}

void decode_process(const Object& object, OwnerTable& out) {
  std::int32_t pid = 0;
  object.required("pid", pid);
  if (pid <= 0) object.wrong("pid", " is not a process id");
  Process process;
  object.required("name", process.name);
  object.optional("cgroup", process.cgroup);
  if (!out.processes.emplace(pid, std::move(process)).second) object.wrong("pid", " comes twice");
}

/// discarded() when it is not the CBOR that we write.
Json parse(std::span<const std::uint8_t> cbor) {
  Json discarded(Json::value_t::discarded);
  if (!is_bounded_cbor(cbor)) return discarded;
  return Json::from_cbor(cbor.begin(), cbor.end(), true, false);
}

std::shared_ptr<const OwnerTable> decode_owners(const Json& bytes, Problem& problem) {
  if (!bytes.is_binary()) {
    problem.found("owners has a wrong type");
    return nullptr;
  }
  const Json json = parse(bytes.get_binary());
  if (json.is_discarded()) {
    problem.found("owners is not the CBOR of this format");
    return nullptr;
  }
  auto table = std::make_shared<OwnerTable>();
  const Object root(json, "owners", Object::kNoIndex, problem);
  root.each("sockets", [&](const Json& item, std::size_t index) {
    decode_holders(Object(item, "sockets", index, problem), *table);
  });
  root.each("processes", [&](const Json& item, std::size_t index) {
    decode_process(Object(item, "processes", index, problem), *table);
  });
  return table;
}

/// The table that the sample refers to: its own, or the one in use.
OwnersInUse owners_of(const Object& root, const OwnersInUse& in_use, Problem& problem) {
  OwnersInUse owners;
  root.optional("owner_table", owners.number);
  if (const Json* bytes = root.find("owners")) {
    owners.table = decode_owners(*bytes, problem);
    if (owners.number <= in_use.number) root.wrong("owner_table", " is not a new number");
  } else if (owners.number != 0) {
    owners.table = in_use.table;
    if (owners.number != in_use.number) {
      root.wrong("owner_table", " names a table that was not stored before");
    }
  }
  return owners;
}

}  // namespace

Result<Sample> decode_sample(std::span<const std::uint8_t> cbor, OwnersInUse& owners) {
  const Json json = parse(cbor);
  if (json.is_discarded()) {
    return failure(ErrorKind::usage, "its content is not the CBOR of this format");
  }
  Problem problem;
  Sample sample;
  const Object root(json, "", Object::kNoIndex, problem);
  root.required("wall_ns", sample.wall_ns);
  root.required("monotonic_ns", sample.monotonic_ns);
  root.required("host", sample.host);
  root.required("kernel", sample.kernel);
  root.required("backend", sample.backend);
  root.each("listeners", [&](const Json& item, std::size_t index) {
    sample.listeners.push_back(decode_listener(Object(item, "listeners", index, problem)));
  });
  root.each("namespaces", [&](const Json& item, std::size_t index) {
    const Object object(item, "namespaces", index, problem);
    sample.namespaces.push_back(decode_namespace(object, index, problem));
  });
  decode_counted(root, sample, problem);
  root.each_if_any("nics", [&](const Json& item, std::size_t index) {
    sample.nics.push_back(decode_nic(Object(item, "nics", index, problem), index, problem));
  });
  root.each_if_any("close_ups", [&](const Json& item, std::size_t index) {
    sample.close_ups.push_back(decode_close_up(Object(item, "close_ups", index, problem), problem));
  });
  const OwnersInUse of_sample = owners_of(root, owners, problem);
  sample.owners = of_sample.table;
  const Json none = Json::object();
  const Json* self_json = root.find("self");
  const Object self(self_json != nullptr ? *self_json : none, "self", Object::kNoIndex, problem);
  decode_self(self, problem, sample.self);

  if (!problem.text.empty()) return failure(ErrorKind::usage, problem.text);
  if (of_sample.number > owners.number) owners = of_sample;
  return sample;
}

}  // namespace listenq::recording
