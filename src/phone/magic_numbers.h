#pragma once

/// Twilio's magic numbers: with test credentials, and only then, the numbers themselves say what happens.
/// Source: docs/protocols/twilio.md, "Test credentials".

#include <optional>
#include <string_view>

#include "wire/twilio/error.h"
#include "wire/twilio/status.h"

namespace hf::phone {

/// The refusal that this pair asks for; nullopt: accepted (nothing is stored, nobody is called back).
std::optional<wire::twilio::ApiError> magic_refusal(wire::twilio::Kind kind, std::string_view from,
                                                    std::string_view to);

}  // namespace hf::phone
