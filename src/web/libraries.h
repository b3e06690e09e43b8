// SPDX-License-Identifier: Apache-2.0
//
// libmicrohttpd and GnuTLS, loaded when a Server is made and not with the program: linked, they
// would cost every start of it 1.6 ms, also where nothing is served. All calls to them go through
// this table; their headers give the types, so a changed signature doesn't compile.
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>

#include <cstdarg>

#include "util/result.h"

namespace listenq::web {

/// Name of each function that is used; member of Libraries by the same name.
#define LISTENQ_MICROHTTPD_FUNCTIONS(X) \
  X(MHD_add_connection)                 \
  X(MHD_add_response_header)            \
  X(MHD_create_response_from_buffer)    \
  X(MHD_create_response_from_callback)  \
  X(MHD_destroy_response)               \
  X(MHD_get_connection_info)            \
  X(MHD_get_connection_values)          \
  X(MHD_get_daemon_info)                \
  X(MHD_get_timeout)                    \
  X(MHD_get_version)                    \
  X(MHD_is_feature_supported)           \
  X(MHD_queue_response)                 \
  X(MHD_resume_connection)              \
  X(MHD_run)                            \
  X(MHD_set_response_options)           \
  X(MHD_start_daemon)                   \
  X(MHD_stop_daemon)                    \
  X(MHD_suspend_connection)

#define LISTENQ_GNUTLS_FUNCTIONS(X)             \
  X(gnutls_certificate_allocate_credentials)    \
  X(gnutls_certificate_free_credentials)        \
  X(gnutls_certificate_get_peers)               \
  X(gnutls_certificate_server_set_request)      \
  X(gnutls_certificate_set_x509_key_mem2)       \
  X(gnutls_certificate_set_x509_trust_mem)      \
  X(gnutls_certificate_verify_peers)            \
  X(gnutls_check_version)                       \
  X(gnutls_credentials_set)                     \
  X(gnutls_hmac_fast)                           \
  X(gnutls_priority_deinit)                     \
  X(gnutls_priority_init2)                      \
  X(gnutls_priority_set)                        \
  X(gnutls_session_get_ptr)                     \
  X(gnutls_session_set_ptr)                     \
  X(gnutls_session_set_verify_function)         \
  X(gnutls_strerror)                            \
  X(gnutls_transport_set_ptr2)                  \
  X(gnutls_transport_set_pull_function)         \
  X(gnutls_transport_set_pull_timeout_function) \
  X(gnutls_transport_set_push_function)         \
  X(gnutls_x509_crt_deinit)                     \
  X(gnutls_x509_crt_get_activation_time)        \
  X(gnutls_x509_crt_get_expiration_time)        \
  X(gnutls_x509_crt_get_pk_algorithm)           \
  X(gnutls_x509_crt_get_subject_alt_name)       \
  X(gnutls_x509_crt_import)                     \
  X(gnutls_x509_crt_init)

struct Libraries {
// NOLINTNEXTLINE(bugprone-macro-parentheses): the name of a member can't have any
#define LISTENQ_MEMBER(name) decltype(&::name) name = nullptr;
  LISTENQ_MICROHTTPD_FUNCTIONS(LISTENQ_MEMBER)
  LISTENQ_GNUTLS_FUNCTIONS(LISTENQ_MEMBER)
#undef LISTENQ_MEMBER
};

/// Loaded once, at the first call, and for as long as the process lives. An error when one of them
/// is not installed, or too old.
[[nodiscard]] Result<const Libraries*> load_libraries();

}  // namespace listenq::web
