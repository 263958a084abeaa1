#pragma once

/// Log front end: one line, one event, key=value, always with the ids that join the story.
///
///   log::info("broker.half.rolled_back", {{"message_id", id}, {"attempts", 15}});
///
/// error: somebody must act · warn: we coped · info: life cycle and final states · debug: each message.
/// Phone numbers go through mask_phone(); secrets never appear (P10). Safe from any thread. The back end (spdlog) is in
/// log.cc alone.

#include <fmt/format.h>

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace hf::log {

enum class Level { debug, info, warn, error, off };

struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <class N>
    requires(std::integral<N> || std::floating_point<N>)
  Field(std::string_view k, N v) : key(k), value(fmt::to_string(v)) {}
};
using Fields = std::initializer_list<Field>;

void debug(std::string_view event, Fields fields = {});
void info(std::string_view event, Fields fields = {});
void warn(std::string_view event, Fields fields = {});
void error(std::string_view event, Fields fields = {});

/// Process-wide, set once in main before threads start. Lines go to standard error, or are appended to `file` if given.
void set_level(Level level);
void to_file(const std::string& file);
bool enabled(Level level);

/// "+15551234567" → "+15*******67". For logs.
std::string mask_phone(std::string_view phone);

}  // namespace hf::log
