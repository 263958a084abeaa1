#include "wire/twilio/dates.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace hf::wire::twilio {

Result<WallTime> from_rfc2822(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  // "Sat, 21 Nov 2026 09:13:05 +0000": fixed columns, always GMT.
  if (text.size() != 31 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' || text[16] != ' ' ||
      text.substr(25) != " +0000") {
    return Error{Code::invalid, "not an RFC 2822 date in GMT"};
  }
  for (std::size_t month = 0; month < kMonths.size(); ++month) {
    if (text.substr(8, 3) != kMonths[month]) continue;
    return from_rfc3339(
        fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), month + 1, text.substr(5, 2), text.substr(17, 8)));
  }
  return Error{Code::invalid, "not a month"};
}

Result<DateSpan> parse_filter_date(std::string_view text) {
  constexpr std::size_t kDayLength = 10;
  if (text.size() == kDayLength) {
    HF_TRY(const WallTime day, from_rfc3339(std::string(text) + "T00:00:00Z"));
    return DateSpan{day, day + std::chrono::days(1)};
  }
  HF_TRY(const WallTime at, from_rfc3339(text));
  const auto second = std::chrono::floor<std::chrono::seconds>(at);
  return DateSpan{second, second + std::chrono::seconds(1)};
}

}  // namespace hf::wire::twilio
