#pragma once

/// How many segments a text takes: GSM-7 if every character is in its tables, else UCS-2.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hf::wire::twilio {

struct Segmentation {
  bool gsm7 = true;
  std::size_t units = 0;     ///< septets, or UTF-16 code units
  std::size_t segments = 1;  ///< 1 for an empty text
};
/// `text` is UTF-8; bytes that are not count as U+FFFD.
Segmentation segment(std::string_view text);
/// Length as Twilio limits it: characters beyond the basic plane count twice.
std::size_t utf16_length(std::string_view text);

}  // namespace hf::wire::twilio
