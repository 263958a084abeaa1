#include "wire/twilio/address.h"

#include <algorithm>

#include "base/log.h"

namespace hf::wire::twilio {
namespace {

constexpr std::string_view kWhatsapp = "whatsapp:", kRcs = "rcs:";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_short_code(std::string_view text) {
  return text.size() >= 5 && text.size() <= 6 && std::ranges::all_of(text, is_digit);
}

bool is_sender_name(std::string_view text) {
  constexpr std::size_t kNameMax = 11;
  return !text.empty() && text.size() <= kNameMax && std::ranges::any_of(text, is_letter) &&
         std::ranges::all_of(text,
                             [](char c) { return is_letter(c) || is_digit(c) || c == ' ' || c == '-' || c == '_'; });
}

}  // namespace

bool is_e164(std::string_view text) {
  return text.size() >= 8 && text.size() <= 16 && text[0] == '+' && text[1] != '0' &&
         std::ranges::all_of(text.substr(1), is_digit);
}

std::optional<Address> parse_recipient(std::string_view text) {
  Channel channel = Channel::sms;
  if (text.starts_with(kWhatsapp)) {
    channel = Channel::whatsapp;
    text.remove_prefix(kWhatsapp.size());
  } else if (text.starts_with(kRcs)) {
    channel = Channel::rcs;
    text.remove_prefix(kRcs.size());
  }
  if (!is_e164(text)) return std::nullopt;
  return Address{channel, std::string(text)};
}

std::optional<Address> parse_sender(std::string_view text) {
  if (auto number = parse_recipient(text)) return number;
  constexpr std::size_t kAddressMax = 80;
  if (text.starts_with(kRcs) && text.size() > kRcs.size() && text.size() <= kAddressMax) {
    return Address{Channel::rcs, std::string(text.substr(kRcs.size()))};
  }
  if (is_short_code(text) || is_sender_name(text)) return Address{Channel::sms, std::string(text)};
  return std::nullopt;
}

std::string mask_address(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::size_t prefix = colon == std::string_view::npos ? 0 : colon + 1;
  return std::string(text.substr(0, prefix)) + log::mask_phone(text.substr(prefix));
}

}  // namespace hf::wire::twilio
