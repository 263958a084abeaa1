#pragma once

/// How event and pattern values compare: strings by character, numbers by value, never one with the other.

#include <optional>
#include <string>
#include <string_view>

#include "wire/eventbridge/json_text.h"

namespace hf::wire::eventbridge {

/// The double that a JSON number means, if it means exactly one: the shortest spelling of the double is the same
/// decimal number. 300, 300.0 and 3e2 are one value; 9007199254740993 is none and is compared by its spelling alone
/// (event-ruler's ComparableNumber).
std::optional<double> exact_number(std::string_view spelling);

/// A leaf in the form in which equality is byte equality: a tag and the bytes. `number` is set for exact numbers.
struct ValueKey {
  char tag = 'z';  ///< s string · n exact number · N other number · t true · f false · z null
  std::string_view bytes;
  std::optional<double> number;
  char number_bytes[sizeof(double)] = {};

  ValueKey() = default;
  ValueKey(const ValueKey&) = delete;  // `bytes` may point into `number_bytes`
  ValueKey& operator=(const ValueKey&) = delete;
  /// `content` outlives the key.
  void assign(JsonKind kind, std::string_view content);
  std::string str() const { return std::string(1, tag).append(bytes); }
};

}  // namespace hf::wire::eventbridge
