// SPDX-License-Identifier: Apache-2.0
//
// What the user chose, kept in a file: written whole or not at all, and read whatever is in it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "record_files.h"
#include "view/tui/settings.h"

namespace listenq::tui {
namespace {

namespace fs = std::filesystem;

Settings some() {
  Settings settings;
  settings.columns = {"port", "accepts", "accept_queue_fill"};
  return settings;
}

class TuiSettings : public testing::Test {
 protected:
  [[nodiscard]] std::string directory() const { return temp_.file("config/listenq-top"); }
  [[nodiscard]] std::string file() const { return directory() + "/screen.conf"; }
  void write(const std::string& text) const {
    fs::create_directories(directory());
    std::ofstream(file(), std::ios::binary) << text;
  }
  [[nodiscard]] std::string text() const {
    std::ifstream in(file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] Settings loaded() const {
    auto settings = load_settings(directory());
    EXPECT_TRUE(settings) << settings.error().message;
    return settings.value_or(Settings{});
  }
  static mode_t mode_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777U;
  }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory()), {}));
  }

  test::TempDir temp_;
};

TEST_F(TuiSettings, ComeBackAsTheyWereSaved) {
  ASSERT_TRUE(save_settings(directory(), some()));
  EXPECT_EQ(loaded(), some());
  ASSERT_TRUE(save_settings(directory(), Settings{}));
  EXPECT_EQ(loaded(), Settings{});
  EXPECT_EQ(files(), 1U) << "nothing temporary is left";
}

TEST_F(TuiSettings, NoFileMeansTheDefaults) {
  EXPECT_EQ(loaded(), Settings{});
  EXPECT_FALSE(fs::exists(temp_.file("config"))) << "reading makes nothing";
}

TEST_F(TuiSettings, AreTheUsersAlone) {
  const mode_t before = ::umask(0);
  const auto saved = save_settings(directory(), some());
  ::umask(before);
  ASSERT_TRUE(saved);
  EXPECT_EQ(mode_of(file()), 0600U);
  EXPECT_EQ(mode_of(directory()), 0700U);
  EXPECT_EQ(mode_of(temp_.file("config")), 0700U);
}

TEST_F(TuiSettings, UnknownKeysAndValuesArePassedOver) {
  write("# by hand\n\ncolumns=port,no_such_field,port,accepts\r\nnew_key=1\n");
  Settings expected;
  expected.columns = {"port", "accepts"};
  EXPECT_EQ(loaded(), expected);
}

TEST_F(TuiSettings, AFileThatIsNoneOfOursIsLeftAlone) {
  const std::string foreign[] = {"not settings\n", std::string("wide=yes\0\n", 10), "\x1b[2J=1\n",
                                 std::string(100'000, 'a')};
  for (const std::string& content : foreign) {
    write(content);
    const auto settings = load_settings(directory());
    ASSERT_FALSE(settings);
    EXPECT_NE(settings.error().message.find(file()), std::string::npos);
    EXPECT_NE(settings.error().message.find("remove or correct"), std::string::npos);
    EXPECT_FALSE(save_settings(directory(), some()));
    EXPECT_EQ(text(), content);
  }
  EXPECT_EQ(files(), 1U);
}

TEST_F(TuiSettings, APipeInItsPlaceDoesNotHoldUpTheStart) {
  fs::create_directories(directory());
  ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
  EXPECT_FALSE(load_settings(directory()));
  EXPECT_FALSE(save_settings(directory(), some()));
}

TEST_F(TuiSettings, ALinkIsReplacedAndNotWrittenThrough) {
  const std::string other = temp_.file("other");
  std::ofstream(other) << "columns=port\n";
  fs::create_directories(directory());
  fs::create_symlink(other, file());
  EXPECT_EQ(loaded().columns, std::vector<std::string>{"port"});
  ASSERT_TRUE(save_settings(directory(), some()));
  EXPECT_FALSE(fs::is_symlink(file()));
  std::ifstream in(other);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "columns=port\n");
}

TEST_F(TuiSettings, WhereNoneCanBeSavedIsSaid) {
  std::ofstream(temp_.file("plain")) << "";
  const std::string below = temp_.file("plain") + "/listenq-top";
  const auto saved = save_settings(below, some());
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().message.find(below + "/screen.conf"), std::string::npos);

  EXPECT_EQ(load_settings(""), Settings{});
  const auto nowhere = save_settings("", some());
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().message.find("HOME"), std::string::npos);
}

TEST_F(TuiSettings, AFailedSaveLeavesWhatWasThere) {
  ASSERT_TRUE(save_settings(directory(), some()));
  const std::string before = text();
  // A limit of file size stands for a full disk.
  const auto save_without_space = [this] {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit none{};
    ::setrlimit(RLIMIT_FSIZE, &none);
    const auto saved = save_settings(directory(), Settings{});
    ::_exit(!saved && saved.error().message.find(file()) != std::string::npos ? 7 : 1);
  };
  EXPECT_EXIT(save_without_space(), testing::ExitedWithCode(7), "");
  EXPECT_EQ(text(), before);
  EXPECT_EQ(files(), 1U);
}

TEST(TuiSettingsDirectory, ComesFromTheEnvironment) {
  const auto directory = [](const char* config, const char* home) {
    const auto set = [](const char* name, const char* value) {
      if (value == nullptr) {
        ::unsetenv(name);
      } else {
        ::setenv(name, value, 1);
      }
    };
    const char* before_config = std::getenv("XDG_CONFIG_HOME");
    const char* before_home = std::getenv("HOME");
    const std::optional<std::string> old_config =
        before_config == nullptr ? std::nullopt : std::optional<std::string>(before_config);
    const std::optional<std::string> old_home =
        before_home == nullptr ? std::nullopt : std::optional<std::string>(before_home);
    set("XDG_CONFIG_HOME", config);
    set("HOME", home);
    std::string found = settings_directory();
    set("XDG_CONFIG_HOME", old_config ? old_config->c_str() : nullptr);
    set("HOME", old_home ? old_home->c_str() : nullptr);
    return found;
  };
  EXPECT_EQ(directory("/c", "/h"), "/c/listenq-top");
  EXPECT_EQ(directory(nullptr, "/h"), "/h/.config/listenq-top");
  EXPECT_EQ(directory("", "/h"), "/h/.config/listenq-top");
  EXPECT_EQ(directory("relative", "/h"), "/h/.config/listenq-top");
  EXPECT_EQ(directory(nullptr, nullptr), "");
  EXPECT_EQ(directory(nullptr, ""), "");
}

}  // namespace
}  // namespace listenq::tui
