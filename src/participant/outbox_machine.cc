#include "participant/outbox_machine.h"

#include <map>

namespace hf::participant {
namespace {

constexpr RowState kStates[] = {RowState::pending, RowState::held,    RowState::sent,
                                RowState::done,    RowState::blocked, RowState::skipped};

std::uint32_t retry_number(std::int64_t attempts) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(attempts, 0, 1000));
}

template <class T>
Result<void> within(std::string_view field, T value, T min, T max, std::string_view bounds) {
  if (value >= min && value <= max) return ok();
  return Error{Code::invalid, fmt::format("outbox.{} must be {}", field, bounds)};
}

}  // namespace

Result<void> check(const OutboxConfig& config) {
  HF_TRY(within<Duration>("poll", config.poll, 10ms, 1min, "10 ms … 1 min"));
  HF_TRY(within<Duration>("lease", config.lease, 1s, 10min, "1 s … 10 min"));
  HF_TRY(within<std::size_t>("batch", config.batch, 1, 1000, "1 … 1000"));
  HF_TRY(within<std::size_t>("in_flight", config.in_flight, 1, 100'000, "1 … 100000"));
  HF_TRY(within<std::size_t>("request_messages", config.request_messages, 1, 1000, "1 … 1000"));
  HF_TRY(within<std::size_t>("request_bytes", config.request_bytes, 1 << 10, 64 << 20, "1 KiB … 64 MiB"));
  HF_TRY(within<Duration>("retry_first", config.retry_first, 1ms, 1h, "1 ms … 1 h"));
  HF_TRY(within<Duration>("retry_max", config.retry_max, config.retry_first, 1h, "retry_first … 1 h"));
  HF_TRY(within<std::int64_t>("refusals_max", config.refusals_max, 1, 1000, "1 … 1000"));
  HF_TRY(within<Duration>("redo_first", config.redo_first, 100ms, 168h, "100 ms … 7 d"));
  HF_TRY(within<Duration>("redo_max", config.redo_max, config.redo_first, 168h, "redo_first … 7 d"));
  HF_TRY(within<Duration>("keep", config.keep, 0s, 365 * 24h, "0 s … 365 d"));
  return within<std::size_t>("remove_batch", config.remove_batch, 1, 1000, "1 … 1000");
}

std::string_view to_string(RowState state) {
  switch (state) {
    case RowState::pending:
      return "pending";
    case RowState::held:
      return "held";
    case RowState::sent:
      return "sent";
    case RowState::done:
      return "done";
    case RowState::blocked:
      return "blocked";
    case RowState::skipped:
      return "skipped";
  }
  return "";
}

std::optional<RowState> row_state_from(std::string_view text) {
  for (const RowState state : kStates) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

Fault fault_of(std::optional<Code> error) {
  if (!error) return Fault::none;
  switch (*error) {
    case Code::exhausted:
    case Code::timeout:
    case Code::unavailable:
      return Fault::away;
    case Code::invalid:
    case Code::denied:
    case Code::not_found:  // no such topic: somebody may create it, so it is tried a few times as well
    case Code::conflict:
    case Code::corrupt:
    case Code::internal:
      return Fault::refused;
  }
  return Fault::refused;
}

Fate decide_fate(const Tried& tried, Fault fault, const OutboxConfig& config, sys::Random& random) {
  if (fault == Fault::none) {
    if (!tried.awaits_done) return {RowState::done, config.keep};
    const net::Backoff redo{.first = config.redo_first, .max = config.redo_max};
    return {RowState::sent, redo.delay(retry_number(tried.attempts), random)};
  }
  if (fault == Fault::refused && tried.refusals + 1 >= config.refusals_max) return {RowState::blocked, {}};
  const net::Backoff retry{.first = config.retry_first, .max = config.retry_max};
  return {RowState::pending, retry.delay(retry_number(tried.attempts), random)};
}

Place place_of(std::optional<std::int64_t> last_open_us, std::int64_t now_us) {
  if (!last_open_us) return {RowState::pending, now_us};
  return {RowState::held, std::max(now_us, *last_open_us + 1)};
}

Gate::Gate(const OutboxConfig& config)
    : config_(config), backoff_{.first = config.retry_first, .max = std::min<Duration>(config.retry_max, 5s)} {}

std::size_t Gate::limit(Monotonic now, std::size_t in_flight) const {
  if (now < opens_at_) return 0;
  if (away()) return in_flight == 0 ? 1 : 0;
  return std::min(config_.batch, config_.in_flight - std::min(config_.in_flight, in_flight));
}

void Gate::passed() {
  failures_ = 0;
  opens_at_ = {};
}

void Gate::failed(Monotonic now, sys::Random& random) {
  if (now < opens_at_) return;  // another request of the same moment
  opens_at_ = now + backoff_.delay(failures_, random);
  failures_ = std::min<std::uint32_t>(failures_ + 1, 1000);
}

std::vector<std::vector<std::size_t>> pack(std::span<const Parcel> parcels, const OutboxConfig& config) {
  struct Open {
    std::size_t group = 0, bytes = 0;
  };
  std::map<std::string_view, Open> open;  // by topic: the request that still takes messages
  std::vector<std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < parcels.size(); ++i) {
    auto [found, first] = open.try_emplace(parcels[i].topic);
    Open& last = found->second;
    const bool fits = !first && groups[last.group].size() < config.request_messages &&
                      last.bytes + parcels[i].bytes <= config.request_bytes;
    if (!fits) {
      last = {groups.size(), 0};
      groups.emplace_back();
    }
    groups[last.group].push_back(i);
    last.bytes += parcels[i].bytes;
  }
  return groups;
}

}  // namespace hf::participant
