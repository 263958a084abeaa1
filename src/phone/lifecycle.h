#pragma once

/// What becomes of a message or a call, decided whole when it is created: which statuses, when, and which of them are
/// reported. Pure; the driver only waits and posts.
///
///   message   queued ─▶ sending ─▶ sent ─▶ delivered ─▶ read (WhatsApp)      through a service: accepted ─▶ queued ─▶
///   …
///                 └─▶ failed          └─▶ undelivered                        scheduled: the same, from SendAt on
///   call      queued ─▶ initiated ─▶ ringing ─▶ in-progress ─▶ completed
///                              └─▶ failed   └─▶ no-answer
///
/// A callback is planned for each change, never for the first status (Twilio's rule); calls report what was asked for.

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "phone/config.h"
#include "phone/faults.h"
#include "wire/twilio/status.h"

namespace hf::phone {

struct PlannedStep {
  std::string status;
  int error_code = 0;
  Duration due{};           ///< after creation
  bool reported = false;    ///< a callback is wanted
  Duration callback_due{};  ///< after creation; never before `due`
};

struct LifecycleInput {
  wire::twilio::Kind kind = wire::twilio::Kind::message;
  bool whatsapp = false;
  std::string first_status{};         ///< queued, accepted or scheduled
  Duration starts_in{};               ///< until SendAt, for a scheduled one
  bool callbacks = false;             ///< a StatusCallback was given
  std::vector<std::string> events{};  ///< calls: initiated, ringing, answered, completed
  std::optional<Fault> fault{};       ///< of FaultPlace::plan
};
std::vector<PlannedStep> plan_life(const LifecycleInput& input, const PhoneConfig& config);

}  // namespace hf::phone
