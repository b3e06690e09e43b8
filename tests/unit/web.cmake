# SPDX-License-Identifier: Apache-2.0
#
# The web server, with clients of its own and with curl and openssl.
target_sources(unit_tests PRIVATE
  web_served.cpp web_abuse_test.cpp web_server_test.cpp)
target_link_libraries(unit_tests PRIVATE listenq_web ZLIB::ZLIB)
