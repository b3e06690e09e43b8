// SPDX-License-Identifier: Apache-2.0
//
// dlopen() and dlsym() for the table in libraries.h.
#include "web/libraries.h"

#include <dlfcn.h>

#include <string>

namespace listenq::web {
namespace {

/// The first that has all that is used here: TLS 1.3 in GnuTLS, enum MHD_Result in libmicrohttpd.
constexpr const char* kOldestGnutls = "3.6.5";
constexpr unsigned kOldestMicrohttpd[] = {0, 9, 71};

struct Library {
  const char* file = nullptr;
  const char* package = nullptr;  ///< Debian's
  void* handle = nullptr;

  [[nodiscard]] Result<void> open() {
    // Never closed: GnuTLS keeps state of the process.
    handle = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) return {};
    return failure(
        ErrorKind::unsupported,
        std::string("serve needs ") + file + ", which is not installed (Debian: " + package + ")");
  }

  template <class Function>
  [[nodiscard]] Result<void> find(const char* name, Function& function) const {
    // POSIX: the result of dlsym() may be used as a function's address.
    function = reinterpret_cast<Function>(::dlsym(handle, name));
    if (function != nullptr) return {};
    return too_old(std::string("has no ") + name);
  }

  [[nodiscard]] tl::unexpected<Error> too_old(const std::string& what) const {
    return failure(ErrorKind::unsupported,
                   std::string("serve needs a newer ") + file + ": this one " + what);
  }
};

/// "0.9.75", compared number by number.
bool new_enough(std::string_view version) {
  for (const unsigned oldest : kOldestMicrohttpd) {
    unsigned number = 0;
    while (!version.empty() && version.front() >= '0' && version.front() <= '9') {
      number = number * 10 + static_cast<unsigned>(version.front() - '0');
      version.remove_prefix(1);
    }
    if (number != oldest) return number > oldest;
    if (!version.empty()) version.remove_prefix(1);
  }
  return true;
}

Result<Libraries> load() {
  Libraries functions;
  Library gnutls{"libgnutls.so.30", "libgnutls30"};
  Library microhttpd{"libmicrohttpd.so.12", "libmicrohttpd12"};
  for (Library* library : {&microhttpd, &gnutls}) {
    if (auto opened = library->open(); !opened) return tl::unexpected<Error>(opened.error());
  }
#define LISTENQ_FIND(library, name)                                 \
  if (auto found = (library).find(#name, functions.name); !found) { \
    return tl::unexpected<Error>(found.error());                    \
  }
#define LISTENQ_FIND_MICROHTTPD(name) LISTENQ_FIND(microhttpd, name)
#define LISTENQ_FIND_GNUTLS(name) LISTENQ_FIND(gnutls, name)
  LISTENQ_MICROHTTPD_FUNCTIONS(LISTENQ_FIND_MICROHTTPD)
  LISTENQ_GNUTLS_FUNCTIONS(LISTENQ_FIND_GNUTLS)
#undef LISTENQ_FIND_GNUTLS
#undef LISTENQ_FIND_MICROHTTPD
#undef LISTENQ_FIND
  if (!new_enough(functions.MHD_get_version())) {
    return microhttpd.too_old(std::string("is ") + functions.MHD_get_version());
  }
  if (functions.gnutls_check_version(kOldestGnutls) == nullptr) {
    return gnutls.too_old(std::string("is older than ") + kOldestGnutls);
  }
  for (const auto& [feature, name] :
       {std::pair{MHD_FEATURE_EPOLL, "epoll"}, std::pair{MHD_FEATURE_TLS, "TLS"}}) {
    if (functions.MHD_is_feature_supported(feature) != MHD_YES) {
      return failure(ErrorKind::unsupported,
                     std::string("serve needs a libmicrohttpd that was built with ") + name);
    }
  }
  return functions;
}

}  // namespace

Result<const Libraries*> load_libraries() {
  static const Result<Libraries> loaded = load();
  if (!loaded) return tl::unexpected<Error>(loaded.error());
  return &*loaded;
}

}  // namespace listenq::web
