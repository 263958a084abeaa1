#include "phone/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace hf::phone {
namespace {

constexpr std::size_t kFaultsMax = 1000;

constexpr std::array<std::pair<FaultMode, std::string_view>, 12> kNames = {{
    {FaultMode::refuse, "refuse"},
    {FaultMode::hang_before_create, "hang_before_create"},
    {FaultMode::create_then_hang, "create_then_hang"},
    {FaultMode::create_then_500, "create_then_500"},
    {FaultMode::fail_before_create, "fail_before_create"},
    {FaultMode::too_many_requests, "429"},
    {FaultMode::gateway_502, "gateway_502"},
    {FaultMode::callback_lost, "callback_lost"},
    {FaultMode::callback_duplicated, "callback_duplicated"},
    {FaultMode::callback_reordered, "callback_reordered"},
    {FaultMode::undelivered, "undelivered"},
    {FaultMode::failed, "failed"},
}};

}  // namespace

std::string_view to_string(FaultMode mode) {
  return std::ranges::find(kNames, mode, &std::pair<FaultMode, std::string_view>::first)->second;
}

std::optional<FaultMode> parse_fault_mode(std::string_view text) {
  const auto found = std::ranges::find(kNames, text, &std::pair<FaultMode, std::string_view>::second);
  return found == kNames.end() ? std::nullopt : std::optional(found->first);
}

FaultPlace place_of(FaultMode mode) {
  switch (mode) {
    case FaultMode::callback_lost:
    case FaultMode::callback_duplicated:
      return FaultPlace::callback;
    case FaultMode::callback_reordered:
    case FaultMode::undelivered:
    case FaultMode::failed:
      return FaultPlace::plan;
    default:
      return FaultPlace::create;
  }
}

Result<std::string> FaultSwitches::add(Fault fault) {
  if (faults_.size() >= kFaultsMax) return Error{Code::exhausted, "a thousand faults are switched on already"};
  fault.id = fmt::format("fault-{}", next_id_++);
  faults_.push_back(fault);
  return fault.id;
}

bool FaultSwitches::remove(std::string_view id) {
  return std::erase_if(faults_, [&](const Fault& fault) { return fault.id == id; }) > 0;
}

std::optional<Fault> FaultSwitches::take(FaultPlace place, std::string_view to) {
  const auto found = std::ranges::find_if(faults_, [&](const Fault& fault) {
    return place_of(fault.mode) == place && (fault.to.empty() || fault.to == to);
  });
  if (found == faults_.end()) return std::nullopt;
  ++found->fired;
  Fault fired = *found;
  if (found->count > 0 && --found->count == 0) faults_.erase(found);
  return fired;
}

}  // namespace hf::phone
