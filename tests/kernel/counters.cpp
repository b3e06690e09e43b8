// SPDX-License-Identifier: Apache-2.0
// The stage for tests of single counters: see counters.h.
#include "counters.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <csignal>

#include "ss.h"

namespace lqtest {
namespace {

std::unique_ptr<CounterStage> the_stage;

// What each counter is called among the kernel's own, per namespace. PassiveOpens counts children,
// TCPSynRetrans is of the server's side SYN-ACKs sent again.
const std::vector<std::pair<std::string, std::vector<std::string>>>& kernel_names() {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> names{
      {"ListenDrops", {"drops"}},
      {"ListenOverflows", {"overflows_syn", "overflows_ack"}},
      {"TCPReqQFullDrop", {"drops_syn_queue_full"}},
      {"TCPDeferAcceptDrop", {"drops_defer_accept"}},
      {"SyncookiesSent", {"cookies_sent"}},
      {"SyncookiesRecv", {"cookies_valid"}},
      {"SyncookiesFailed", {"cookies_invalid"}},
      {"TCPFastOpenListenOverflow", {"fastopen_overflows"}},
      {"TCPSynRetrans", {"synack_retransmits"}},
  };
  return names;
}

uint64_t at(const Growth& growth, const std::string& name) {
  const auto found = growth.find(name);
  return found == growth.end() ? 0 : found->second;
}

int64_t number(const Json& space, const char* object, const std::string& name) {
  const Json values = space.value(object, Json());
  return values.is_object() ? values.value(name, int64_t{0}) : 0;
}

}  // namespace

CounterStage::CounterStage() : fabric("cnt", 1), wire(fabric, 0) {
  for (const std::string& backend : counting_backends()) {
    if (!not_whole(backend).empty()) {
      refusals[backend] = not_whole(backend);
      std::printf("%s\n", not_whole(backend).c_str());
      continue;
    }
    auto watch = std::make_unique<Watch>(backend, counter_interval());
    if (!watch->refusal().empty()) {
      refusals[backend] = watch->refusal();
      continue;
    }
    last[backend] = watch->next();
    watches.push_back(std::move(watch));
  }
}

CounterStage& Counters::stage() {
  if (!the_stage) the_stage = std::make_unique<CounterStage>();
  return *the_stage;
}

void Counters::end_stage() {
  the_stage.reset();
}

void end_counters() {
  Counters::end_stage();
}

double counter_interval() {
  return is_emulated() ? 0.8 : 0.1;
}

double clock_tolerance() {
  return is_emulated() ? 0.5 : 0.05;
}

void Counters::set(const std::string& sysctl, const std::string& value) {
  ASSERT_TRUE(server().write_sysctl(sysctl, value)) << sysctl;
}

void Counters::SetUp() {
  KernelTest::SetUp();
  if (IsSkipped()) return;
  for (const auto& [backend, refusal] : stage().refusals)
    ASSERT_FALSE(must_have(backend)) << "--backend " << backend << ": " << refusal;
  for (const auto& watch : watches()) ASSERT_TRUE(watch->running()) << watch->backend();
  const std::array<std::pair<const char*, const char*>, 6> defaults{{
      {"core/somaxconn", "4096"},
      {"ipv4/tcp_syncookies", "1"},
      {"ipv4/tcp_abort_on_overflow", "0"},
      {"ipv4/tcp_max_syn_backlog", "4096"},
      {"ipv4/tcp_synack_retries", "5"},
      {"ipv4/tcp_fastopen", "1"},
  }};
  for (const auto& [path, value] : defaults) set(path, value);
  static uint16_t last_port = 6000;
  port_ = ++last_port;
  mib_ = server().mib();
}

void Counters::TearDown() {
  listeners_.clear();
}

size_t Counters::listen(int backlog, const std::function<void(ListenerSpec&)>& change) {
  ListenerSpec spec{.address = "::", .port = port_, .backlog = backlog};
  if (change) change(spec);
  server().run([&] { listeners_.push_back(open_listener(spec)); });
  return listeners_.size() - 1;
}

bool Counters::queue_has(uint64_t length) const {
  return wait_until([&] {
    uint64_t found = 0;
    for (const auto& [cookie, one] : ss_listeners(server()))
      if (one.port == port_) found += one.accept_queue_len;
    return found == length;
  });
}

std::vector<RawConnection> Counters::establish(int count, bool v6) {
  uint64_t before = 0;
  for (const auto& [cookie, one] : ss_listeners(server()))
    if (one.port == port_) before += one.accept_queue_len;
  std::vector<RawConnection> connections;
  for (int i = 0; i < count; ++i) {
    connections.push_back(connection(v6));
    connections.back().establish();
  }
  if (!queue_has(before + static_cast<uint64_t>(count)))
    throw std::runtime_error("the connections did not reach the accept queue");
  return connections;
}

uint64_t Counters::mib_growth(const std::string& name) const {
  const auto now = server().mib();
  const auto found = now.find(name);
  const auto before = mib_.find(name);
  if (found == now.end()) return 0;
  return static_cast<uint64_t>(found->second - (before == mib_.end() ? 0 : before->second));
}

bool Counters::arrived(uint64_t segments) const {
  return wait_until([&] { return mib_growth("InSegs") >= segments; });
}

Fd Counters::accept(bool accept4) {
  Fd socket(accept4 ? ::accept4(listener().get(), nullptr, nullptr, SOCK_CLOEXEC)
                    : ::accept(listener().get(), nullptr, nullptr));
  if (!socket.valid()) throw_errno("accept");
  return socket;
}

std::vector<Watch*> Counters::watches_with(const std::string& field) {
  std::vector<Watch*> found;
  for (const auto& watch : watches()) {
    if (may_be_absent(watch->backend(), field))
      std::printf("%s does not have %s here\n", watch->backend().c_str(), field.c_str());
    else
      found.push_back(watch.get());
  }
  return found;
}

void Counters::expect_mib(const Growth& growth) {
  const auto difference = [&] {
    std::string text;
    for (const auto& [kernel, ours] : kernel_names()) {
      uint64_t want = 0;
      for (const std::string& name : ours) want += at(growth, name);
      const uint64_t got = mib_growth(kernel);
      if (got != want) text += fmt::format(" {} grew by {}, not {};", kernel, got, want);
    }
    return text;
  };
  std::string text;
  wait_until([&] { return (text = difference()).empty(); }, std::chrono::seconds(5));
  EXPECT_EQ(text, "") << "the test did not provoke what it meant to";
}

Json Counters::row(const Json& document) const {
  Json found;
  int rows = 0;
  for (const Json& one : rows_of(document, server().inode())) {
    if (one.value("port", Json()) != port_) continue;
    found = one;
    ++rows;
  }
  EXPECT_EQ(rows, 1) << "listeners on port " << port_;
  return rows == 1 ? found : Json();
}

// The kernel leaves out a program that is running on this CPU already, also where an interrupt or
// another thread came in between. The tool counts such runs; what they would have seen is missing.
uint64_t Counters::missed_since_last(const std::string& backend, const Json& document) {
  const auto missed_of = [](const Json& one) {
    static const Json::json_pointer where("/self/lost/missed_runs");
    return one.contains(where) ? one.at(where).get<uint64_t>() : uint64_t{0};
  };
  const uint64_t missed = missed_of(document) - missed_of(stage().last[backend]);
  if (missed != 0)
    std::printf("%s: %llu runs of programs were left out\n", backend.c_str(),
                static_cast<unsigned long long>(missed));
  return missed;
}

void Counters::expect_row(const std::string& backend, const Json& row, const Growth& growth,
                          uint64_t missed) const {
  ASSERT_FALSE(row.is_null());
  Growth wanted = growth;
  // What cannot be told apart must still be among the rest.
  for (const std::string& name : counter_names()) {
    if (counter(row, name) || !may_be_absent(backend, name)) continue;
    if (at(wanted, name) == 0) continue;
    std::printf("%s does not count %s here\n", backend.c_str(), name.c_str());
    if (name.starts_with("drops_")) wanted["drops_other"] += at(wanted, name);
  }
  for (const std::string& name : counter_names()) {
    const auto value = counter(row, name);
    if (!value && may_be_absent(backend, name)) continue;
    ASSERT_TRUE(value) << name << " is " << row.value(name, Json("missing")).dump();
    EXPECT_LE(*value, at(wanted, name)) << name;
    EXPECT_GE(*value + missed, at(wanted, name)) << name;
  }
}

// Since the last look, so that a wrong sum is the fault of one test.
void Counters::expect_sums(const std::string& backend, const Json& document) const {
  const Json now = namespace_of(document, server().inode());
  const Json before = namespace_of(stage().last[backend], server().inode());
  ASSERT_TRUE(now.value("counted_since_start", Json()).is_object()) << now.dump();
  for (const auto& item : now.at("counted_since_start").items()) {
    const std::string& name = item.key();
    const int64_t ours =
        number(now, "counted_since_start", name) - number(before, "counted_since_start", name);
    const int64_t kernel =
        number(now, "mib_since_start", name) - number(before, "mib_since_start", name);
    EXPECT_EQ(ours, kernel) << "counted against the kernel's " << name;
    EXPECT_EQ(kernel, static_cast<int64_t>(mib_growth(name))) << name << " of the namespace";
  }
}

// A machine under load may let the second pass after which a SYN-ACK is sent again. Where a test
// does not mean to, the kernel says whether it was.
Growth Counters::with_retransmits(Growth growth) const {
  if (!growth.contains("synack_retransmits"))
    growth["synack_retransmits"] = mib_growth("TCPSynRetrans");
  return growth;
}

std::vector<std::pair<Watch*, Json>> Counters::settled() {
  std::vector<Watch::Moment> moments;
  for (const auto& watch : watches()) moments.push_back(watch->moment());
  std::vector<std::pair<Watch*, Json>> documents;
  for (const auto& watch : watches())
    documents.emplace_back(watch.get(), watch->settled(netns(), moments.at(documents.size())));
  return documents;
}

void Counters::expect(const Growth& wanted) {
  const Growth growth = with_retransmits(wanted);
  expect_mib(growth);
  if (watches().empty()) GTEST_SKIP() << "no counting backend on this kernel";
  for (const auto& [watch, document] : settled()) {
    SCOPED_TRACE(watch->backend());
    ASSERT_FALSE(document.is_null()) << "the tool ended";
    expect_row(watch->backend(), row(document), growth,
               missed_since_last(watch->backend(), document));
    expect_sums(watch->backend(), document);
    stage().last[watch->backend()] = document;
  }
}

void Counters::expect_closed(const Growth& wanted, size_t which) {
  const Growth growth = with_retransmits(wanted);
  expect_mib(growth);
  if (watches().empty()) GTEST_SKIP() << "no counting backend on this kernel";
  for (const auto& [watch, document] : settled()) {
    SCOPED_TRACE(watch->backend());
    ASSERT_FALSE(document.is_null()) << "the tool ended";
    std::vector<Json> found;
    for (const Json& one : closed_of(document, server().inode()))
      if (one.value("port", Json()) == port_) found.push_back(one);
    ASSERT_GT(found.size(), which) << "closed listeners on port " << port_;
    expect_row(watch->backend(), found[which], growth,
               missed_since_last(watch->backend(), document));
    expect_sums(watch->backend(), document);
    stage().last[watch->backend()] = document;
  }
}

}  // namespace lqtest
