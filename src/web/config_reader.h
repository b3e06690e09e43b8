// SPDX-License-Identifier: Apache-2.0
//
// From the tree of a web configuration to a WebConfig: which keys there are, what each may be.
// Used by config.cpp, which knows of files.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "util/result.h"
#include "web/config.h"
#include "web/tls_priorities.h"
#include "web/yaml.h"

namespace listenq::web {

class ConfigReader {
 public:
  /// The contents of a file that the configuration names, by the name that is written there.
  using ReadFile = std::function<Result<std::string>(const std::string& name)>;

  /// `file` is for messages.
  ConfigReader(std::string file, ReadFile read_file)
      : file_(std::move(file)), read_file_(std::move(read_file)) {}

  [[nodiscard]] Result<WebConfig> read(const YamlNode& root);

 private:
  using Handle = std::function<Result<void>(const YamlNode& value)>;
  struct Key {
    std::string_view name;
    Handle handle;
  };

  /// `path` is not path_, which changes with each key.
  [[nodiscard]] Result<void> read_keys(const YamlNode& map, const std::string& path,
                                       const std::vector<Key>& keys);
  [[nodiscard]] Result<void> read_tls(const YamlNode& section, WebConfig& config);
  [[nodiscard]] Result<void> check_tls(const YamlNode& section, const TlsConfig& tls,
                                       const TlsWishes& wishes) const;
  [[nodiscard]] Result<void> read_http(const YamlNode& section, WebConfig& config);
  [[nodiscard]] Result<void> read_header(const YamlNode& value, std::string_view name,
                                         WebConfig& config) const;
  [[nodiscard]] Result<void> read_users(const YamlNode& section, WebConfig& config) const;

  [[nodiscard]] Handle text_into(std::string& target);
  [[nodiscard]] Handle file_into(std::string& target);
  [[nodiscard]] Handle flag_into(bool& target);
  [[nodiscard]] Handle version_into(int& target);
  [[nodiscard]] Handle names_into(std::vector<std::string>& target, bool (*known)(std::string_view),
                                  std::string (*all)());

  [[nodiscard]] Result<void> text(const YamlNode& value, std::string& target) const;
  [[nodiscard]] tl::unexpected<Error> wrong(const YamlNode& at, const std::string& path,
                                            const std::string& what) const;

  std::string file_;
  ReadFile read_file_;
  std::string path_;  ///< of the key that is being read: "tls_server_config.cert_file"
};

}  // namespace listenq::web
