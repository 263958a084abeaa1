#pragma once

/// The sandbox's fault switches: what to do to the next requests, and to whose. In memory: a restart forgets them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hf::phone {

enum class FaultMode {
  refuse,               ///< 400 with `code` (21610 unless given): certainly not created
  hang_before_create,   ///< no answer, nothing created
  create_then_hang,     ///< created, no answer
  create_then_500,      ///< created, answered 500
  fail_before_create,   ///< answered 500, nothing created: looks like create_then_500 from outside
  too_many_requests,    ///< "429": answered 429 with 20429, nothing created
  gateway_502,          ///< created, answered 502 with an HTML page: what a proxy in between would do
  callback_lost,        ///< the next callbacks are not sent at all
  callback_duplicated,  ///< … are sent twice
  callback_reordered,   ///< the next message's callbacks are sent last first
  undelivered,          ///< the next message ends undelivered with `code` (30003 unless given); a call: no-answer
  failed,               ///< the next message or call ends failed with `code` (30008 unless given)
};
std::string_view to_string(FaultMode mode);
std::optional<FaultMode> parse_fault_mode(std::string_view text);

struct Fault {
  std::string id;  ///< given by add()
  FaultMode mode = FaultMode::refuse;
  std::int64_t count = 1;  ///< how often it still fires; 0: until it is taken away
  std::string to;          ///< only requests and callbacks of this number; "": of all
  int code = 0;            ///< Twilio error code, where the mode has one
  std::int64_t fired = 0;
};

/// Where in a request's life the phone asks.
enum class FaultPlace { create, plan, callback };
FaultPlace place_of(FaultMode mode);

/// Strand only.
class FaultSwitches {
 public:
  /// Errors: exhausted (more than a thousand).
  Result<std::string> add(Fault fault);
  bool remove(std::string_view id);
  void clear() { faults_.clear(); }
  const std::vector<Fault>& all() const { return faults_; }
  /// The oldest switch of this place that matches `to`, counted down; taken away when its count is used up.
  std::optional<Fault> take(FaultPlace place, std::string_view to);

 private:
  std::vector<Fault> faults_;
  std::uint64_t next_id_ = 1;
};

}  // namespace hf::phone
