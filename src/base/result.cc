#include "base/result.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace hf {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::invalid:
      return "invalid";
    case Code::denied:
      return "denied";
    case Code::not_found:
      return "not_found";
    case Code::conflict:
      return "conflict";
    case Code::exhausted:
      return "exhausted";
    case Code::timeout:
      return "timeout";
    case Code::unavailable:
      return "unavailable";
    case Code::corrupt:
      return "corrupt";
    case Code::internal:
      return "internal";
  }
  HF_ASSERT(false);
}

std::string Error::to_string() const {
  std::string_view file = where.file_name();
  if (const std::size_t at = file.rfind("src/"); at != std::string_view::npos) file.remove_prefix(at + 4);
  return fmt::format("{}: {} ({}:{})", hf::to_string(code), message, file, where.line());
}

Error Error::with_context(std::string_view context) const& {
  return Error(code, fmt::format("{}: {}", context, message), where);
}

void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "assertion failed: %s (%s:%d)\n", condition, file, line);
  std::fflush(stderr);
  std::abort();
}

}  // namespace hf
