# SPDX-License-Identifier: Apache-2.0
#
# The web server, with clients of its own and with curl and openssl.
target_sources(unit_tests PRIVATE
  web_abuse_test.cpp web_auth_test.cpp web_certificates.cpp web_config_test.cpp web_gzip_test.cpp
  web_listen_test.cpp web_served.cpp web_server_test.cpp web_tls_test.cpp)
target_link_libraries(unit_tests PRIVATE listenq_web ZLIB::ZLIB)
