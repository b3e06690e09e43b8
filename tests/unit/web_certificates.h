// SPDX-License-Identifier: Apache-2.0
//
// Certificates made by openssl when a test needs them, in a folder that goes with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "web/config.h"
#include "web_served.h"

namespace listenq::web {

class Certificates {
 public:
  /// An authority "ca" and, signed by it, "server" (localhost, ECDSA).
  Certificates();

  /// A self-signed one.
  void make_authority(const std::string& name) const;
  /// `sans`: "DNS:localhost"; `key`: "ec" or "rsa"; `usage`: "" for any, or "clientAuth" and so on.
  void make(const std::string& name, const std::string& authority, const std::string& sans,
            const std::string& key = "ec", const std::string& usage = "") const;
  /// One for localhost that was good for the second of January 2020.
  void make_expired(const std::string& name) const;

  [[nodiscard]] std::string certificate(const std::string& name) const;
  [[nodiscard]] std::string key(const std::string& name) const;
  [[nodiscard]] std::string contents(const std::string& path) const;
  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }

  /// With this certificate and what is usual.
  [[nodiscard]] WebConfig config(const std::string& name) const;

  /// curl with the authority "ca", and what else is given; code 0 and the body when all went well.
  [[nodiscard]] Ran curl(const std::string& url, std::vector<std::string> options = {}) const;
  /// The options for a client's certificate.
  [[nodiscard]] std::vector<std::string> as(const std::string& name) const;

 private:
  TemporaryFolder folder_;
};

}  // namespace listenq::web
