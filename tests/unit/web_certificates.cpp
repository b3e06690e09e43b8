// SPDX-License-Identifier: Apache-2.0
//
// openssl's and curl's command lines.
#include "web_certificates.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "web/tls_priorities.h"

namespace listenq::web {
namespace {

void run_or_fail(const std::vector<std::string>& arguments) {
  ASSERT_EQ(run_program(arguments).code, 0) << testing::PrintToString(arguments);
}

std::vector<std::string> key_options(const std::string& key) {
  if (key == "rsa") return {"-newkey", "rsa:2048"};
  return {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"};
}

}  // namespace

Certificates::Certificates() {
  make_authority("ca");
  make("server", "ca", "DNS:localhost");
}

std::string Certificates::certificate(const std::string& name) const {
  return folder_.path(name + ".pem");
}

std::string Certificates::key(const std::string& name) const {
  return folder_.path(name + ".key");
}

void Certificates::make_authority(const std::string& name) const {
  std::vector<std::string> arguments = {"openssl", "req",         "-x509", "-nodes",
                                        "-subj",   "/CN=" + name, "-days", "2",
                                        "-keyout", key(name),     "-out",  certificate(name)};
  for (const std::string& option : key_options("ec")) arguments.push_back(option);
  run_or_fail(arguments);
}

void Certificates::make(const std::string& name, const std::string& authority,
                        const std::string& sans, const std::string& key_kind,
                        const std::string& usage) const {
  std::vector<std::string> arguments = {"openssl", "req",
                                        "-x509",   "-nodes",
                                        "-subj",   "/CN=" + name,
                                        "-days",   "2",
                                        "-keyout", key(name),
                                        "-out",    certificate(name),
                                        "-CA",     certificate(authority),
                                        "-CAkey",  key(authority),
                                        "-addext", "basicConstraints=CA:false"};
  for (const std::string& option : key_options(key_kind)) arguments.push_back(option);
  if (!sans.empty()) {
    arguments.emplace_back("-addext");
    arguments.push_back("subjectAltName=" + sans);
  }
  if (!usage.empty()) {
    arguments.emplace_back("-addext");
    arguments.push_back("extendedKeyUsage=" + usage);
  }
  run_or_fail(arguments);
}

void Certificates::make_expired(const std::string& name) const {
  const std::string request = folder_.path(name + ".csr");
  std::vector<std::string> arguments = {"openssl",       "req",     "-new",    "-nodes", "-subj",
                                        "/CN=localhost", "-keyout", key(name), "-out",   request};
  for (const std::string& option : key_options("ec")) arguments.push_back(option);
  run_or_fail(arguments);
  folder_.write("index.txt", "");
  folder_.write("serial", "01\n");
  const std::string config =
      folder_.write("ca.conf", "[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=" + folder_.path("") +
                                   "\ndatabase=" + folder_.path("index.txt") +
                                   "\nserial=" + folder_.path("serial") +
                                   "\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n");
  run_or_fail({"openssl", "ca", "-batch", "-notext", "-config", config, "-in", request, "-out",
               certificate(name), "-cert", certificate("ca"), "-keyfile", key("ca"), "-startdate",
               "20200101000000Z", "-enddate", "20200102000000Z"});
}

std::string Certificates::contents(const std::string& path) const {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

WebConfig Certificates::config(const std::string& name) const {
  WebConfig config;
  TlsConfig& tls = config.tls.emplace();
  tls.certificates = contents(certificate(name));
  tls.key = contents(key(name));
  tls.priorities = gnutls_priorities({}, false);
  tls.priorities_rsa = gnutls_priorities({}, true);
  return config;
}

Ran Certificates::curl(const std::string& url, std::vector<std::string> options) const {
  std::vector<std::string> arguments = {"curl",      "-q",     "-4",         "-s",
                                        "-S",        "--fail", "--max-time", "20",
                                        "--noproxy", "*",      "--cacert",   certificate("ca")};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.push_back(url);
  return run_program(arguments);
}

std::vector<std::string> Certificates::as(const std::string& name) const {
  return {"--cert", certificate(name), "--key", key(name)};
}

}  // namespace listenq::web
