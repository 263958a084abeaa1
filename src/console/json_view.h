#pragma once

/// Reading answers of the administration without asserting that every field is there: versions may differ.

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace hf::console {

/// The text at `key` of an object; numbers and booleans as text; "" if absent or null.
std::string text_of(const boost::json::value& object, std::string_view key);
/// 0 if absent.
std::int64_t integer_of(const boost::json::value& object, std::string_view key);
/// The elements at `key`; empty if absent or no array.
const boost::json::array& array_of(const boost::json::value& object, std::string_view key);
/// Pretty enough for programs: one line.
void print_json(const boost::json::value& value);

}  // namespace hf::console
