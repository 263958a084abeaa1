#include "sql/xa.h"

#include <algorithm>

namespace hf::sql {
namespace {

constexpr std::size_t kPartMax = 64;  // of the XA standard; a longer one is a syntax error to the server

/// They stand in statements, between single quotes.
bool harmless(std::string_view part) {
  return std::ranges::all_of(part, [](char c) { return c > ' ' && c < 0x7f && c != '\'' && c != '"' && c != '\\'; });
}

Result<void> check_part(std::string_view name, std::string_view part, std::size_t min) {
  if (part.size() < min || part.size() > kPartMax) {
    return Error{Code::invalid, fmt::format("{}: {} bytes, {} to {} are allowed", name, part.size(), min, kPartMax)};
  }
  if (!harmless(part)) {
    return Error{Code::invalid, fmt::format("{}: printable ASCII without spaces, quotes and backslashes only", name)};
  }
  return ok();
}

}  // namespace

Result<void> check(const Xid& xid) {
  HF_TRY(check_part("transaction id", xid.gtrid, 1));
  return check_part("branch id", xid.bqual, 0);
}

}  // namespace hf::sql
