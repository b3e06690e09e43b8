// SPDX-License-Identifier: Apache-2.0
//
// Which format a scraper asks for.
#pragma once

#include <string_view>

#include "export/exposition.h"

namespace listenq {

/// OpenMetrics only where the Accept header prefers a version of it that we write (1.0.0, 0.0.1) to
/// text; text for everything else, "" included.
[[nodiscard]] ExpositionFormat wanted_format(std::string_view accept);

/// For the Content-Type header.
[[nodiscard]] std::string_view content_type(ExpositionFormat format);

}  // namespace listenq
