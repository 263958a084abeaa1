#pragma once

/// X-Twilio-Signature: base64(HMAC-SHA1(auth token, URL + every form parameter, sorted)).
///
/// The digest is passed in (net/crypto.h has it; this layer does no cryptography). The URL is the one Twilio was told
/// to call: take it from configuration, never from what a request claims in its headers.

#include <string>
#include <string_view>

#include "wire/twilio/fields.h"

namespace hf::wire::twilio {

using HmacSha1 = std::string (*)(std::string_view key, std::string_view data);

inline constexpr std::string_view kSignatureHeader = "X-Twilio-Signature";

/// The URL as it is signed: without `user:password@` and without `#fragment`.
std::string signed_url(std::string_view url);
/// The URL with everything that is signed behind it: parameters by name in code-unit order; a name that occurs several
/// times contributes its distinct values, sorted.
std::string signed_text(std::string_view url, const Fields& form);
std::string sign(HmacSha1 hmac, std::string_view auth_token, std::string_view url, const Fields& form);

/// Accepts the URL with its port and without it, as Twilio's own clients do: for https Twilio signs voice callbacks
/// without and messaging callbacks with it. Compares in constant time. An empty signature is never valid.
bool verify(HmacSha1 hmac, std::string_view auth_token, std::string_view url, const Fields& form,
            std::string_view signature);

}  // namespace hf::wire::twilio
