#include "coordinator/config.h"

#include <fmt/format.h>

#include "net/http.h"
#include "wire/two_phase/messages.h"

namespace hf::coordinator {
namespace {

Result<void> check_duration(std::string_view field, Duration value, Duration least, Duration most) {
  if (value >= least && value <= most) return ok();
  return Error{Code::invalid, fmt::format("coordinator.{} is a time from {} to {}", field, format_duration(least),
                                          format_duration(most))};
}
Result<void> check_count(std::string_view field, std::size_t value, std::size_t most) {
  if (value >= 1 && value <= most) return ok();
  return Error{Code::invalid, fmt::format("coordinator.{} is a number from 1 to {}", field, most)};
}

}  // namespace

Result<void> check(const CoordinatorConfig& config) {
  const std::string sample = fmt::format("hf1.{}.1.{:032x}", config.id, 1);
  if (!wire::two_phase::parse_gtrid(sample)) {
    return Error{Code::invalid, "coordinator.id is 1 to 12 of a-z, 0-9 and -"};
  }
  if (!config.base_url.empty() && (!net::parse_url(config.base_url) || config.base_url.ends_with('/'))) {
    return Error{Code::invalid, "coordinator.base_url is a URL without a slash at its end"};
  }
  HF_TRY(check_duration("prepare_timeout", config.prepare_timeout, 10ms, 10min));
  HF_TRY(check_duration("notify_timeout", config.notify_timeout, 10ms, 10min));
  HF_TRY(check_duration("retry_max", config.retry_max, 1ms, 24h));
  HF_TRY(check_duration("retry_first", config.retry_first, 1ms, config.retry_max));
  HF_TRY(check_duration("active_max", config.active_max, 10ms, 24h));
  HF_TRY(check_duration("keep_finished", config.keep_finished, 1s, 24h * 3650));
  HF_TRY(check_count("transactions_max", config.transactions_max, 10'000'000));
  HF_TRY(check_count("participants_max", config.participants_max, 1000));
  return check_count("calls_per_participant", config.calls_per_participant, 10'000);
}

}  // namespace hf::coordinator
