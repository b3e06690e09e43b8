// SPDX-License-Identifier: Apache-2.0
//
// Recordings, as Recorder writes and Player reads them: what goes in comes out, and a file that is
// cut off, damaged, foreign or hostile never gives a sample that was not recorded.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <limits>
#include <thread>

#include "record_files.h"
#include "record_samples.h"

namespace listenq::test {
namespace {

template <class T>
constexpr T kMax = std::numeric_limits<T>::max();

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777U;
}

void expect_round_trip(const std::vector<Sample>& samples) {
  const Played played = play(record(samples));
  EXPECT_EQ(played.error, "");
  EXPECT_FALSE(played.cut_off);
  ASSERT_EQ(played.samples.size(), samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(sample_text(*played.samples[i]), sample_text(samples[i]));
  }
}

TEST(Record, GivesBackEveryMember) {
  expect_round_trip({full_sample()});
}

TEST(Record, GivesBackExtremes) {
  Sample sample = full_sample();
  sample.wall_ns = sample.monotonic_ns = kMax<std::uint64_t>;
  RawListener& listener = sample.listeners.at(0);
  listener.netns = NetnsId{kMax<std::uint32_t>};
  listener.cookie = SocketCookie{kMax<std::uint64_t>};
  listener.inode = kMax<std::uint64_t>;
  listener.family = Family::ipv6;
  listener.address.fill(0xff);
  listener.port = kMax<std::uint16_t>;
  listener.uid = kMax<std::uint32_t>;
  listener.cgroup_id = kMax<std::uint64_t>;
  listener.accept_queue_len = listener.accept_queue_limit = kMax<std::uint32_t>;
  listener.syn_queue_len = listener.syn_queue_young = kMax<std::uint32_t>;
  listener.fastopen_queue_len = listener.fastopen_queue_limit = kMax<std::uint32_t>;
  listener.sk_drops = kMax<std::uint32_t>;
  listener.oldest_wait_ns = kMax<std::uint64_t>;
  listener.listen_requested = std::numeric_limits<std::int32_t>::min();
  ListenerCounts& counts = sample.counts.at(0);
  counts.values.fill(kMax<std::uint64_t>);
  counts.accept_queue_peak = counts.syn_queue_peak = kMax<std::uint32_t>;
  counts.accept_wait.counts.fill(kMax<std::uint64_t>);
  counts.accept_wait.sum_ns = counts.accept_wait.max_ns = kMax<std::uint64_t>;
  RawNic& nic = sample.nics.at(0);
  nic.netns = NetnsId{kMax<std::uint32_t>};
  nic.ifindex = kMax<std::uint32_t>;
  nic.mode = NicMode::xdp;
  nic.passed = nic.malformed = nic.fragments = kMax<std::uint64_t>;
  nic.evictions = kMax<std::uint64_t>;
  NicPort& port = nic.ports.at(1);
  port.port = kMax<std::uint16_t>;
  port.syn_in = port.syn_known = port.synack_out = port.ack_in = port.rst_in = kMax<std::uint64_t>;
  port.handshake_time = counts.accept_wait;
  sample.counting->counters = (std::uint32_t{1} << kCounters) - 1;
  sample.closed.at(0).monotonic_ns = kMax<std::uint64_t>;
  sample.namespaces.at(0).sysctls = {
      kMax<std::int64_t>, std::numeric_limits<std::int64_t>::min(), -1, 0, 1, std::nullopt};
  sample.namespaces.at(0).mib = MibCounters{{"ListenDrops", kMax<std::uint64_t>}, {"", 0}};
  sample.self = {kMax<std::uint64_t>,
                 kMax<std::uint64_t>,
                 kMax<std::uint64_t>,
                 kMax<std::uint64_t>,
                 {{"ring full", kMax<std::uint64_t>}}};
  auto owners = std::make_shared<OwnerTable>(*sample.owners);
  owners->pids.back() = kMax<std::int32_t>;
  owners->processes[kMax<std::int32_t>] = {"", ""};
  sample.owners = owners;
  expect_round_trip({sample});
}

TEST(Record, GivesBackZeroesAsZeroes) {
  Sample sample;
  RawListener listener;
  listener.cookie = SocketCookie{0};
  listener.uid = 0;
  listener.cgroup_id = 0;
  listener.cgroup.emplace();
  listener.syn_queue_len = listener.syn_queue_young = 0;
  listener.fastopen_queue_len = listener.fastopen_queue_limit = 0;
  listener.sk_drops = 0;
  listener.oldest_wait_ns = 0;
  listener.listen_requested = 0;
  listener.counts = 0;
  sample.listeners = {listener};
  sample.namespaces = {
      {NetnsId{0}, "", {0, 0, 0, 0, 0, 0}, MibCounters{}, MibCounters{}, 0, "", false}};
  sample.counting.emplace();
  sample.counts.resize(1);
  sample.nics.resize(1);
  sample.nics[0].mode = NicMode::tc;
  sample.nics[0].evictions = 0;
  sample.nics[0].ports.resize(1);
  sample.closed = {{listener, 0}};
  sample.owners = std::make_shared<OwnerTable>();
  expect_round_trip({sample});
}

TEST(Record, GivesBackAbsentAsAbsent) {
  Sample sample;
  sample.listeners.resize(1);
  sample.namespaces.resize(1);
  sample.nics.resize(1);
  const Played played = play(record({sample}));
  ASSERT_EQ(played.samples.size(), 1U);
  EXPECT_EQ(sample_text(*played.samples[0]), sample_text(sample));
  EXPECT_EQ(played.samples[0]->owners, nullptr);
  const RawListener& listener = played.samples[0]->listeners.at(0);
  EXPECT_FALSE(listener.cookie || listener.uid || listener.cgroup_id || listener.cgroup ||
               listener.syn_queue_len || listener.syn_queue_young || listener.fastopen_queue_len ||
               listener.fastopen_queue_limit || listener.sk_drops || listener.oldest_wait_ns ||
               listener.listen_requested || listener.counts);
  EXPECT_FALSE(played.samples[0]->counting);
  EXPECT_FALSE(played.samples[0]->namespaces.at(0).name || played.samples[0]->namespaces[0].mib ||
               played.samples[0]->namespaces[0].sysctls.somaxconn);
  EXPECT_FALSE(played.samples[0]->namespaces[0].nat ||
               played.samples[0]->namespaces[0].nics_complete);
  EXPECT_FALSE(played.samples[0]->nics.at(0).mode || played.samples[0]->nics[0].evictions);
}

TEST(Record, GivesBackASampleOfNothing) {
  expect_round_trip({Sample{}});
}

TEST(Record, GivesBackNamesThatAreNoText) {
  Sample sample = full_sample();
  const std::string evil("\x1b[2J\xff\xc0\x80\0\n\"\\", 11);
  sample.host = sample.kernel = sample.backend = evil;
  sample.listeners.at(0).interface = evil;
  sample.listeners.at(0).cgroup = evil;
  sample.namespaces.at(0).name = evil;
  sample.namespaces.at(0).mib = MibCounters{{evil, 1}};
  sample.namespaces.at(0).nat = evil;
  sample.nics.at(0).interface = sample.nics.at(0).note = evil;
  sample.self.lost = {{evil, 2}};
  auto owners = std::make_shared<OwnerTable>(*sample.owners);
  for (auto& [pid, process] : owners->processes) process = {evil, evil};
  sample.owners = owners;
  expect_round_trip({sample});
}

TEST(Record, KeepsTheOrderOfListsAndRepeatedNames) {
  Sample sample = full_sample();
  sample.namespaces.at(0).mib = MibCounters{{"Zeta", 1}, {"Alpha", 2}, {"Zeta", 3}};
  std::reverse(sample.listeners.begin(), sample.listeners.end());
  expect_round_trip({sample});
}

TEST(Record, StoresOwnersOnlyWhenTheyChange) {
  std::vector<Sample> samples(7, full_sample());
  for (int pid = 1000; pid < 3000; ++pid) {  // so many that storing them twice shows
    auto owners = std::make_shared<OwnerTable>(*samples[0].owners);
    owners->processes[pid] = {"worker " + std::to_string(pid * 7919), std::nullopt};
    samples[0].owners = owners;
  }
  auto other = std::make_shared<OwnerTable>(*samples[0].owners);
  other->processes[42] = {"another", std::nullopt};
  samples[1].owners = samples[0].owners;
  samples[2].owners = nullptr;
  samples[3].owners = std::make_shared<OwnerTable>(*samples[0].owners);  // equal, read anew
  samples[4].owners = samples[5].owners = other;
  samples[6].owners = samples[0].owners;
  expect_round_trip(samples);

  const Bytes file = record(samples);
  const std::vector<std::size_t> ends = frame_ends(file);
  ASSERT_EQ(ends.size(), 8U);
  for (std::size_t i = 0; i < 7; ++i) {
    const bool stored = i == 0 || i == 4 || i == 6;
    EXPECT_EQ(ends[i + 1] - ends[i] > 10'000, stored) << "sample " << i + 1;
  }
  const Played played = play(file);
  EXPECT_EQ(played.samples.at(0)->owners, played.samples.at(1)->owners);
  EXPECT_EQ(played.samples[2]->owners, nullptr);
  EXPECT_EQ(played.samples[0]->owners, played.samples[3]->owners);
  EXPECT_NE(played.samples[0]->owners, played.samples[4]->owners);
  EXPECT_EQ(played.samples[4]->owners, played.samples[5]->owners);
}

TEST(Record, HoldsTenThousandListeners) {
  Sample sample = full_sample();
  sample.listeners.resize(10'000, sample.listeners.at(0));
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    sample.listeners[i].cookie = SocketCookie{i};
    sample.listeners[i].accept_queue_len = i * 2'654'435'761U;
    sample.listeners[i].counts = i;
  }
  sample.counts.resize(10'000, sample.counts.at(0));
  expect_round_trip({sample, sample});
}

TEST(Record, RefusesASampleThatCouldNotBeReadBack) {
  const TempDir dir;
  const std::string path = dir.file("recording");
  auto recorder = Recorder::create(path).value();
  ASSERT_TRUE(recorder.append(full_sample()));
  Sample huge = full_sample();
  huge.self.lost.resize(recording::kMaxValues / 3, {"cause", 1});
  const auto refused = recorder.append(huge);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("larger than a recording can hold"), std::string::npos);
  ASSERT_TRUE(recorder.append(full_sample()));
  EXPECT_EQ(play(path).samples.size(), 2U);
}

// ---- the file that Recorder makes

TEST(RecordFile, IsReadableByItsOwnerAlone) {
  const TempDir dir;
  const mode_t before = ::umask(0);
  auto recorder = Recorder::create(dir.file("recording")).value();
  ::umask(before);
  EXPECT_EQ(mode_of(dir.file("recording")), 0600U);
}

TEST(RecordFile, DoesNotOverwrite) {
  const TempDir dir;
  const Bytes precious{'m', 'i', 'n', 'e'};
  write_file(dir.file("recording"), precious);
  const auto refused = Recorder::create(dir.file("recording"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::usage);
  EXPECT_NE(refused.error().message.find("exists already"), std::string::npos);
  EXPECT_EQ(read_file(dir.file("recording")), precious);
}

TEST(RecordFile, TakesAnEmptyFile) {
  const TempDir dir;
  const std::string path = dir.file("recording");
  write_file(path, {});
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  ASSERT_TRUE(Recorder::create(path).value().append(full_sample()));
  EXPECT_EQ(mode_of(path), 0600U);
  EXPECT_EQ(play(path).samples.size(), 1U);
}

TEST(RecordFile, RefusesAnEmptyFileOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make a file of another user";
  const TempDir dir;
  const std::string path = dir.file("recording");
  write_file(path, {});
  ASSERT_EQ(::chown(path.c_str(), 12345, 12345), 0);
  const auto refused = Recorder::create(path);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("belongs to another user"), std::string::npos);
}

TEST(RecordFile, LeavesNothingWhenNothingWasRecorded) {
  const TempDir dir;
  {
    auto recorder = Recorder::create(dir.file("recording")).value();
    const Recorder moved = std::move(recorder);
    EXPECT_TRUE(std::filesystem::exists(dir.file("recording")));
  }
  EXPECT_FALSE(std::filesystem::exists(dir.file("recording")));

  write_file(dir.file("was there"), {});
  { const auto recorder = Recorder::create(dir.file("was there")).value(); }
  EXPECT_TRUE(std::filesystem::exists(dir.file("was there")));
}

TEST(RecordFile, RefusesWhatIsNoFile) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo(dir.file("pipe").c_str(), 0600), 0);
  write_file(dir.file("target"), {});
  std::filesystem::create_symlink(dir.file("target"), dir.file("link"));
  std::filesystem::create_symlink(dir.file("nowhere"), dir.file("dangling"));
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "standard output"},
      {"-", "standard output"},
      {dir.file("."), "directory"},
      {dir.file("missing/recording"), "directory does not exist"},
      {dir.file("target/recording"), "directory does not exist"},
      {dir.file("pipe"), "not a regular file"},
      {"/dev/null", "not a regular file"},
      {dir.file("link"), "symbolic link"},
      {dir.file("dangling"), "symbolic link"},
      {dir.file(std::string(300, 'x')), "too long"},
  };
  for (const auto& [path, message] : cases) {
    const auto refused = Recorder::create(path);
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().kind, ErrorKind::usage) << path;
    EXPECT_NE(refused.error().message.find(message), std::string::npos) << refused.error().message;
  }
  EXPECT_FALSE(std::filesystem::exists(dir.file("nowhere")));
}

std::optional<std::uint64_t> writes_of_this_process() {
  std::ifstream io("/proc/self/io");
  std::string key;
  std::uint64_t value = 0;
  while (io >> key >> value) {
    if (key == "syscw:") return value;
  }
  return std::nullopt;
}

TEST(RecordFile, GetsEachSampleInOneWrite) {
  const TempDir dir;
  auto recorder = Recorder::create(dir.file("recording")).value();
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer looks at memory by write() of its own";
#endif
  for (int i = 0; i < 3; ++i) {
    const auto before = writes_of_this_process();
    if (!before) GTEST_SKIP() << "this kernel does not count the writes of a process";
    ASSERT_TRUE(recorder.append(full_sample()));
    EXPECT_EQ(writes_of_this_process(), *before + 1);
  }
}

TEST(RecordFile, StaysWholeWhenThereIsNoSpace) {
  const TempDir dir;
  const std::string path = dir.file("recording");
  auto recorder = Recorder::create(path).value();
  ASSERT_TRUE(recorder.append(full_sample()));
  const std::uintmax_t whole = std::filesystem::file_size(path);

  // A limit on the size of files acts like a full disk: a short write first, then an error.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{whole + 20, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  Sample changed = full_sample();
  auto owners = std::make_shared<OwnerTable>(*changed.owners);
  owners->processes[4711] = {"new", std::nullopt};
  changed.owners = owners;
  const auto refused = recorder.append(changed);
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
  EXPECT_EQ(std::filesystem::file_size(path), whole);
  // The owners that did not get into the file are not referred to later.
  ASSERT_TRUE(recorder.append(changed));
  const Played played = play(path);
  ASSERT_EQ(played.samples.size(), 2U) << played.error;
  EXPECT_EQ(sample_text(*played.samples[1]), sample_text(changed));
}

// ---- files that are cut off or damaged

std::vector<Sample> three_samples() {
  std::vector<Sample> samples(3, small_sample());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i].monotonic_ns += i;
    samples[i].listeners.at(0).accept_queue_len = static_cast<std::uint32_t>(i);
  }
  auto owners = std::make_shared<OwnerTable>(*samples[0].owners);
  owners->processes[2] = {"late", std::nullopt};
  samples[2].owners = owners;
  return samples;
}

TEST(RecordDamage, EveryCutGivesTheWholeSamplesBefore) {
  const Bytes file = record(three_samples());
  const std::vector<std::string> all = texts(play(file).samples);
  const std::vector<std::size_t> ends = frame_ends(file);
  ASSERT_EQ(all.size(), 3U);
  ASSERT_EQ(ends.size(), 4U);
  for (std::size_t length = 0; length < file.size(); ++length) {
    SCOPED_TRACE(length);
    const Played played = play(std::span(file).first(length));
    const auto whole = static_cast<std::size_t>(std::count_if(
        ends.begin() + 1, ends.end(), [&](std::size_t end) { return end <= length; }));
    ASSERT_EQ(texts(played.samples), std::vector(all.begin(), all.begin() + std::ptrdiff_t(whole)));
    if (whole == 0) {
      EXPECT_NE(played.error, "");
      EXPECT_FALSE(played.cut_off);
    } else {
      EXPECT_EQ(played.error, "");
      EXPECT_EQ(played.cut_off, std::find(ends.begin(), ends.end(), length) == ends.end());
    }
  }
}

TEST(RecordDamage, NoChangedByteGivesAnotherSample) {
  const Bytes file = record(three_samples());
  const std::vector<std::string> all = texts(play(file).samples);
  const std::vector<std::size_t> ends = frame_ends(file);
  for (std::size_t at = 0; at < file.size(); ++at) {
    const auto hit = static_cast<std::size_t>(
        std::count_if(ends.begin(), ends.end(), [&](std::size_t end) { return end <= at; }));
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      SCOPED_TRACE(testing::Message() << "byte " << at << " xor " << flip);
      Bytes changed = file;
      changed[at] = static_cast<std::uint8_t>(changed[at] ^ flip);
      const Played played = play(changed);
      // Exactly the samples before the changed one, and word of it.
      const std::size_t before = hit == 0 ? 0 : hit - 1;
      ASSERT_EQ(texts(played.samples),
                std::vector(all.begin(), all.begin() + std::ptrdiff_t(before)));
      EXPECT_TRUE(!played.error.empty() || played.cut_off);
    }
  }
}

TEST(RecordDamage, InTheMiddleIsToldFromACutOffEnd) {
  const Bytes file = record(three_samples());
  const std::vector<std::size_t> ends = frame_ends(file);
  Bytes middle = file;
  middle[ends[2] - 1] ^= 1U;
  const Played damaged = play(middle);
  EXPECT_EQ(damaged.samples.size(), 1U);
  EXPECT_FALSE(damaged.cut_off);
  EXPECT_NE(damaged.error.find("is damaged after sample 1, what follows cannot"), std::string::npos)
      << damaged.error;
  Bytes last = file;
  last[ends[3] - 1] ^= 1U;
  const Played cut = play(last);
  EXPECT_EQ(cut.samples.size(), 2U);
  EXPECT_TRUE(cut.cut_off);
  EXPECT_EQ(cut.error, "");
}

TEST(RecordDamage, ZerosAtTheEndAreACutOff) {
  Bytes file = record(three_samples());
  for (const std::size_t zeros : {1U, 8U, 4096U, 3U << 20U}) {
    Bytes longer = file;
    longer.insert(longer.end(), zeros, 0);
    const Played played = play(longer);
    EXPECT_EQ(played.samples.size(), 3U) << zeros;
    EXPECT_EQ(played.error, "");
    EXPECT_TRUE(played.cut_off);
    if (zeros < recording::kFrameHeadBytes) continue;  // with a one behind still a torn head
    longer.push_back(1);
    EXPECT_NE(play(longer).error.find("damaged"), std::string::npos);
  }
}

TEST(RecordDamage, AMissingOwnerTableIsNotReplacedByAnother) {
  std::vector<Sample> samples = three_samples();
  samples.push_back(samples[2]);
  Bytes file = record(samples);
  const std::vector<std::size_t> ends = frame_ends(file);
  file.erase(file.begin() + std::ptrdiff_t(ends[2]), file.begin() + std::ptrdiff_t(ends[3]));
  const Played played = play(file);
  EXPECT_EQ(played.samples.size(), 2U);
  EXPECT_NE(played.error.find("in sample 3, owner_table names a table that was not stored"),
            std::string::npos)
      << played.error;
}

// ---- files that are something else

TEST(RecordForeign, IsRefusedWithAReason) {
  const auto text = [](std::string_view content) { return Bytes(content.begin(), content.end()); };
  Bytes newer = record({small_sample()});
  newer[recording::kMagic.size()] = recording::kVersion + 1;
  Bytes version_0 = newer;
  version_0[recording::kMagic.size()] = 0;
  Bytes converted = newer;
  converted.erase(std::find(converted.begin(), converted.end(), '\r'));
  const std::vector<std::pair<Bytes, std::string>> cases{
      {{}, "it is empty"},
      {text("L"), "ends within its header"},
      {text("LQREC\r\n"), "ends within its header"},
      {text("x"), "not a recording of listenq-top"},
      {text("{\"schema\":1}"), "not a recording of listenq-top"},
      {text("\x7f"
            "ELF and so on, and so forth"),
       "not a recording of listenq-top"},
      {Bytes(100'000), "not a recording of listenq-top"},
      {converted, "not a recording of listenq-top"},
      {recording::file_header(), "before its first sample"},
      {newer, "made by a newer listenq-top (format 2, this one reads up to 1)"},
      {version_0, "header is damaged"},
  };
  const TempDir dir;
  for (const auto& [bytes, message] : cases) {
    const std::string path = dir.file("file");
    write_file(path, bytes);
    const auto refused = Player::open(path);
    ASSERT_FALSE(refused) << message;
    EXPECT_EQ(refused.error().kind, ErrorKind::usage);
    EXPECT_EQ(refused.error().message.find("cannot replay " + path + ": "), 0U);
    EXPECT_NE(refused.error().message.find(message), std::string::npos) << refused.error().message;
  }
}

TEST(RecordForeign, ThatCannotBeReadIsRefused) {
  const TempDir dir;
  const auto missing = Player::open(dir.file("missing"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::usage);
  EXPECT_NE(missing.error().message.find("No such file"), std::string::npos);
  const auto directory = Player::open(dir.file("."));
  ASSERT_FALSE(directory);
  EXPECT_NE(directory.error().message.find("is a directory"), std::string::npos);
  EXPECT_EQ(Player::open(dir.file("\x1b[2J")).error().message.find('\x1b'), std::string::npos);
  if (::geteuid() != 0) {
    write_file(dir.file("secret"), record({small_sample()}));
    ASSERT_EQ(::chmod(dir.file("secret").c_str(), 0), 0);
    EXPECT_EQ(Player::open(dir.file("secret")).error().kind, ErrorKind::unsupported);
  }
}

TEST(RecordForeign, APipeIsReadLikeAFile) {
  const Bytes file = record(three_samples());
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd from{ends[0]};
  std::thread writer([&file, to = Fd{ends[1]}] {
    for (const std::uint8_t& byte : file) ASSERT_EQ(::write(to.get(), &byte, 1), 1);
  });
  // The writer's end is closed by the thread's own copy of it, once the thread is joined.
  Result<Player> player = Player::open("/proc/self/fd/" + std::to_string(from.get()));
  writer.join();
  ASSERT_TRUE(player) << player.error().message;
  for (int i = 0; i < 3; ++i) ASSERT_NE(player->next().value(), std::nullopt);
}

}  // namespace
}  // namespace listenq::test
