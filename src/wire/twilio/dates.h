#pragma once

/// Twilio's dates: RFC 2822 in resources (base/time.h writes them), days or RFC 3339 in filters.

#include <optional>
#include <string_view>

#include "base/time.h"

namespace hf::wire::twilio {

/// "Sat, 21 Nov 2026 09:13:05 +0000". Error: invalid.
Result<WallTime> from_rfc2822(std::string_view text);

/// What a date filter names: a whole day, or one second.
struct DateSpan {
  WallTime begin;
  WallTime end;  ///< exclusive
};
/// "2026-11-21" or "2026-11-21T09:13:05Z". Error: invalid.
Result<DateSpan> parse_filter_date(std::string_view text);

}  // namespace hf::wire::twilio
