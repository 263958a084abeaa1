#include "wire/twilio/status.h"

#include <array>
#include <span>

namespace hf::wire::twilio {
namespace {

constexpr int kFinalFrom = 50;

struct Ranked {
  std::string_view status;
  int rank;
};
constexpr std::array kMessageStatuses = {
    Ranked{"accepted", 10},  Ranked{"scheduled", 10}, Ranked{"queued", 20},
    Ranked{"sending", 30},   Ranked{"sent", 40},      Ranked{"undelivered", 50},
    Ranked{"failed", 50},    Ranked{"canceled", 50},  Ranked{"partially_delivered", 55},
    Ranked{"delivered", 60}, Ranked{"read", 70},
};
constexpr std::array kCallStatuses = {
    Ranked{"queued", 10},      Ranked{"initiated", 20}, Ranked{"ringing", 30},
    Ranked{"in-progress", 40}, Ranked{"busy", 50},      Ranked{"failed", 50},
    Ranked{"no-answer", 50},   Ranked{"canceled", 50},  Ranked{"completed", 60},
};

}  // namespace

std::string_view to_string(Kind kind) { return kind == Kind::message ? "message" : "call"; }

int status_rank(Kind kind, std::string_view status) {
  const std::span<const Ranked> table =
      kind == Kind::message ? std::span<const Ranked>(kMessageStatuses) : std::span<const Ranked>(kCallStatuses);
  for (const Ranked& row : table) {
    if (row.status == status) return row.rank;
  }
  return 0;
}

bool is_final(Kind kind, std::string_view status) { return status_rank(kind, status) >= kFinalFrom; }

bool is_failure(Kind kind, std::string_view status) { return status_rank(kind, status) == kFinalFrom; }

bool advances(Kind kind, std::string_view current, std::string_view next) {
  return status_rank(kind, next) > status_rank(kind, current);
}

}  // namespace hf::wire::twilio
