#pragma once

/// A transaction as JSON: in the store's columns, and for people. docs/formats/coordinator.md.

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/transaction.h"

namespace hf::coordinator {

std::string encode_participants(const std::vector<Participant>& participants);
std::string encode_story(const std::vector<Step>& story);
/// Errors: corrupt.
Result<std::vector<Participant>> decode_participants(std::string_view json);
Result<std::vector<Step>> decode_story(std::string_view json);

/// A damage that somebody has to look at.
struct Heuristic {
  std::string gtrid, participant;
  std::string decided;  ///< "commit" "abort"
  std::string found;    ///< how the participant ended: "committed" "aborted" "unknown"
  std::string reason;   ///< an operator's words, or what was met
  std::int64_t at_us = 0;
  bool operator==(const Heuristic&) const = default;
};

/// GET /2pc/v1/tx/{gtrid} and the administration's view of one.
std::string story_json(const Transaction& tx, std::string_view coordinator, const std::vector<Heuristic>& heuristics);
/// {"transactions":[…]} without stories.
std::string list_json(const std::vector<Transaction>& transactions);
std::string heuristics_json(const std::vector<Heuristic>& heuristics);

/// What an initiator may tell with its commit or abort: {"calls":[{"participant","what","began_at_us","ended_at_us",
/// "detail"}], "reason": "…"}. An empty body tells nothing. Errors: invalid.
struct Told {
  std::vector<Step> calls;
  std::string reason;
};
Result<Told> parse_told(std::string_view body);

/// {"decision":"commit|abort","reason":"…"}: an operator's. Errors: invalid (the reason is not optional).
struct Resolution {
  Decision decision = Decision::abort;
  std::string reason;
};
Result<Resolution> parse_resolution(std::string_view body);

}  // namespace hf::coordinator
