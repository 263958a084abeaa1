#pragma once

/// What took from when to when, and what ran beside it: the parallel calls of a global transaction. Pure.

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace hf::console {

struct Span {
  std::string where;  ///< "shop", "coordinator"
  std::string what;   ///< "payment.pay", "prepare payment"
  std::int64_t begun_us = 0, ended_us = 0;
};

/// Prepares and notifies of a coordinator's story (GET /2pc/v1/tx/{gtrid}), and the calls the initiator told it.
std::vector<Span> spans_of_story(const boost::json::value& story);
/// Calls of the order service's trace (GET /transactions/{gtrid}/trace).
std::vector<Span> spans_of_trace(const boost::json::value& trace);

/// True if both ran at the same time, for at least a microsecond.
bool overlap(const Span& a, const Span& b);
/// A line per span: from, to, what, and a bar under the one before, so that overlap is seen.
std::string print(const std::vector<Span>& spans);
/// [{"where","what","begun_at_us","ended_at_us","overlaps":["inventory.updateStock"]}]
boost::json::value to_json(const std::vector<Span>& spans);

}  // namespace hf::console
