#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

namespace hf::log {
namespace {

std::atomic<Level> threshold{Level::info};

constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%fZ %l %v";

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>("holdfast", std::move(sink));
  logger->set_pattern(kPattern, spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::trace);  // the threshold above decides
  logger->flush_on(spdlog::level::trace);
  return logger;
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  return instance;
}

/// A value with a space, a quote, an equals sign or a control character is quoted, so that a line can be split again.
void append_value(std::string& line, std::string_view value) {
  const bool plain =
      !value.empty() && value.find_first_of(" \"=\\") == std::string_view::npos &&
      std::none_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 32; });
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < 32) {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  line += '"';
}

void write(Level level, spdlog::level::level_enum as, std::string_view event, Fields fields) {
  if (!enabled(level)) return;
  std::string line(event);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    append_value(line, field.value);
  }
  logger()->log(as, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void debug(std::string_view event, Fields fields) { write(Level::debug, spdlog::level::debug, event, fields); }
void info(std::string_view event, Fields fields) { write(Level::info, spdlog::level::info, event, fields); }
void warn(std::string_view event, Fields fields) { write(Level::warn, spdlog::level::warn, event, fields); }
void error(std::string_view event, Fields fields) { write(Level::error, spdlog::level::err, event, fields); }

void set_level(Level level) { threshold.store(level, std::memory_order_relaxed); }
void to_file(const std::string& file) {
  logger() = make_logger(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
}
bool enabled(Level level) { return level >= threshold.load(std::memory_order_relaxed); }

std::string mask_phone(std::string_view phone) {
  constexpr std::size_t kShownAhead = 3, kShownAfter = 2;
  if (phone.size() <= kShownAhead + kShownAfter) return std::string(phone.size(), '*');
  std::string out(phone.substr(0, kShownAhead));
  out.append(phone.size() - kShownAhead - kShownAfter, '*');
  out += phone.substr(phone.size() - kShownAfter);
  return out;
}

}  // namespace hf::log
