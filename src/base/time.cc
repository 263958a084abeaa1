#include "base/time.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace hf {
namespace {

using namespace std::chrono;

struct Civil {
  year_month_day date;
  hh_mm_ss<microseconds> time;
  weekday day;
};

Civil civil(WallTime at) {
  const auto days = floor<std::chrono::days>(at);
  return {year_month_day{days}, hh_mm_ss<microseconds>{at - days}, weekday{days}};
}

std::string date_time(const Civil& c) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", int(c.date.year()), unsigned(c.date.month()),
                     unsigned(c.date.day()), c.time.hours().count(), c.time.minutes().count(),
                     c.time.seconds().count());
}

/// Takes exactly `digits` decimal digits off the front of `text`.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc{} || end != text.data() + digits || text[0] == '-') return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

Result<WallTime> compose(std::optional<int> y, std::optional<int> mo, std::optional<int> d, std::optional<int> h,
                         std::optional<int> mi, std::optional<int> s) {
  if (!y || !mo || !d || !h || !mi || !s) return Error{Code::invalid, "not a date and time"};
  const year_month_day date{year{*y}, month{static_cast<unsigned>(*mo)}, day{static_cast<unsigned>(*d)}};
  if (!date.ok() || *h > 23 || *mi > 59 || *s > 60) return Error{Code::invalid, "no such date or time"};
  return WallTime(sys_days{date}.time_since_epoch() + hours{*h} + minutes{*mi} + seconds{*s});
}

struct Unit {
  std::string_view name;
  Duration length;
};
constexpr std::array<Unit, 7> kUnits = {
    {{"ns", 1ns}, {"us", 1us}, {"ms", 1ms}, {"s", 1s}, {"m", 1min}, {"h", 1h}, {"d", 24h}}};

}  // namespace

std::string to_rfc3339(WallTime at) {
  const Civil c = civil(at);
  return fmt::format("{}.{:06}Z", date_time(c), c.time.subseconds().count());
}

std::string to_rfc3339_seconds(WallTime at) { return date_time(civil(at)) + "Z"; }

std::string to_basic_iso8601(WallTime at) {
  const Civil c = civil(at);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", int(c.date.year()), unsigned(c.date.month()),
                     unsigned(c.date.day()), c.time.hours().count(), c.time.minutes().count(),
                     c.time.seconds().count());
}

Result<WallTime> from_basic_iso8601(std::string_view text) {
  const auto y = take_number(text, 4);
  const auto mo = take_number(text, 2);
  const auto d = take_number(text, 2);
  if (!take(text, 'T')) return Error{Code::invalid, "not a date and time"};
  const auto h = take_number(text, 2);
  const auto mi = take_number(text, 2);
  const auto s = take_number(text, 2);
  if (text != "Z") return Error{Code::invalid, "not a UTC time"};
  return compose(y, mo, d, h, mi, s);
}

std::string to_rfc2822(WallTime at) {
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Civil c = civil(at);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} +0000", kDays[c.day.c_encoding()], unsigned(c.date.day()),
                     kMonths[unsigned(c.date.month()) - 1], int(c.date.year()), c.time.hours().count(),
                     c.time.minutes().count(), c.time.seconds().count());
}

Result<WallTime> from_rfc3339(std::string_view text) {
  const Error malformed{Code::invalid, "not an RFC 3339 time"};
  const auto y = take_number(text, 4);
  if (!take(text, '-')) return malformed;
  const auto mo = take_number(text, 2);
  if (!take(text, '-')) return malformed;
  const auto d = take_number(text, 2);
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return malformed;
  const auto h = take_number(text, 2);
  if (!take(text, ':')) return malformed;
  const auto mi = take_number(text, 2);
  if (!take(text, ':')) return malformed;
  const auto s = take_number(text, 2);
  std::int64_t fraction_us = 0;
  if (take(text, '.')) {
    std::int64_t scale = 100'000;
    if (text.empty() || text[0] < '0' || text[0] > '9') return malformed;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
      fraction_us += (text[0] - '0') * scale;
      scale /= 10;
      text.remove_prefix(1);
    }
  }
  minutes offset{0};
  if (!take(text, 'Z') && !take(text, 'z')) {
    const int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
    const auto oh = take_number(text, 2);
    if (!take(text, ':')) return malformed;
    const auto om = take_number(text, 2);
    if (sign == 0 || !oh || !om) return malformed;
    offset = sign * (hours{*oh} + minutes{*om});
  }
  if (!text.empty()) return malformed;
  HF_TRY(const WallTime at, compose(y, mo, d, h, mi, s));
  return at + microseconds{fraction_us} - offset;
}

Result<Duration> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const Unit& u : kUnits) {
    if (error != std::errc{} || count < 0 || unit != u.name) continue;
    if (count > Duration::max() / u.length) break;
    return count * u.length;
  }
  return Error{Code::invalid, fmt::format("'{}' is not a duration: write a number and ns, us, ms, s, m, h or d", text)};
}

std::string format_duration(Duration duration) {
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit) {
    if (duration.count() != 0 && duration % unit->length == Duration::zero()) {
      return fmt::format("{}{}", duration / unit->length, unit->name);
    }
  }
  return "0s";
}

}  // namespace hf
