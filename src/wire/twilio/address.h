#pragma once

/// Where a message comes from and goes to: "+15551234567", "whatsapp:+15551234567", a short code, a sender's name.

#include <optional>
#include <string>
#include <string_view>

namespace hf::wire::twilio {

enum class Channel { sms, whatsapp, rcs };

struct Address {
  Channel channel = Channel::sms;
  std::string number;  ///< without the channel's prefix
};

/// `^\+[1-9]\d{6,14}$`
bool is_e164(std::string_view text);
/// E.164, or `whatsapp:` / `rcs:` and E.164. nullopt: not a number one can send to.
std::optional<Address> parse_recipient(std::string_view text);
/// What may stand in From: a recipient's form, a short code (5–6 digits), a name (≤ 11, a letter in it), `rcs:agent`.
std::optional<Address> parse_sender(std::string_view text);

/// "whatsapp:+15551234567" → "whatsapp:+15*******67": for logs and lists (P10).
std::string mask_address(std::string_view text);

}  // namespace hf::wire::twilio
