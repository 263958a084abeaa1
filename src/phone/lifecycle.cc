#include "phone/lifecycle.h"

#include <algorithm>

#include "wire/twilio/callback.h"

namespace hf::phone {
namespace {

using wire::twilio::Kind;

constexpr int kUnreachable = 30003, kUnknownError = 30008;

bool ends(const LifecycleInput& input, FaultMode mode) { return input.fault && input.fault->mode == mode; }

int code_or(const LifecycleInput& input, int otherwise) {
  return input.fault->code != 0 ? input.fault->code : otherwise;
}

std::vector<PlannedStep> message_steps(const LifecycleInput& input, const PhoneConfig& config) {
  std::vector<PlannedStep> steps;
  Duration at = input.starts_in;
  const auto step = [&](std::string status, int error_code = 0) {
    at += config.step;
    steps.push_back({std::move(status), error_code, at, input.callbacks, at});
  };
  if (input.first_status != "queued") step("queued");
  step("sending");
  if (ends(input, FaultMode::failed)) {
    step("failed", code_or(input, kUnknownError));
    return steps;
  }
  step("sent");
  if (ends(input, FaultMode::undelivered)) {
    step("undelivered", code_or(input, kUnreachable));
    return steps;
  }
  step("delivered");
  if (input.whatsapp) step("read");
  return steps;
}

std::vector<PlannedStep> call_steps(const LifecycleInput& input, const PhoneConfig& config) {
  std::vector<PlannedStep> steps;
  Duration at{};
  const auto step = [&](std::string status, Duration after, int error_code = 0) {
    at += after;
    const std::string event(wire::twilio::event_of_call_status(status));
    const bool reported = input.callbacks && std::ranges::find(input.events, event) != input.events.end();
    steps.push_back({std::move(status), error_code, at, reported, at});
  };
  step("initiated", config.step);
  if (ends(input, FaultMode::failed)) {
    step("failed", config.step);
    return steps;
  }
  step("ringing", config.step);
  if (ends(input, FaultMode::undelivered)) {
    step("no-answer", config.ring);
    return steps;
  }
  step("in-progress", config.ring);
  step("completed", config.step);  // the talk itself is written into `duration`, not waited for
  return steps;
}

/// The last report first, all of them after the last change.
void reverse_reports(std::vector<PlannedStep>& steps, Duration pace) {
  Duration at = steps.back().due;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    step->callback_due = at;
    at += pace;
  }
}

}  // namespace

std::vector<PlannedStep> plan_life(const LifecycleInput& input, const PhoneConfig& config) {
  std::vector<PlannedStep> steps =
      input.kind == Kind::message ? message_steps(input, config) : call_steps(input, config);
  if (ends(input, FaultMode::callback_reordered)) reverse_reports(steps, config.step);
  return steps;
}

}  // namespace hf::phone
