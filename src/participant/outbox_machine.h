#pragma once

/// The outbox's decisions, pure: what becomes of a row after a try, when the broker is worth asking, how rows make
/// requests. State diagram: outbox.h.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/backoff.h"
#include "participant/outbox_config.h"

namespace hf::participant {

/// `pending`, `held`, `blocked` are open: still to be published. Spelled as in the table.
enum class RowState { pending, held, sent, done, blocked, skipped };
std::string_view to_string(RowState state);
std::optional<RowState> row_state_from(std::string_view text);

/// Whose fault a failed send is. A broker that is away must not block what it never looked at.
enum class Fault { none, away, refused };
Fault fault_of(std::optional<Code> error);

/// A row before the try that just ended.
struct Tried {
  std::int64_t attempts = 0, refusals = 0;
  bool awaits_done = false;
};
struct Fate {
  RowState state = RowState::pending;
  Duration due_in{};  ///< from now: the next try, the redo, the removal; blocked: meaningless
  bool operator==(const Fate&) const = default;
};
Fate decide_fate(const Tried& tried, Fault fault, const OutboxConfig& config, sys::Random& random);

/// put(): only the head of an aggregate is pending. `last_open_us`: the highest sequence among its open rows.
struct Place {
  RowState state = RowState::pending;
  std::int64_t sequence = 0;
  bool operator==(const Place&) const = default;
};
/// The sequence is the clock, or one more than the last if the clock stands or goes back (a hybrid logical clock).
Place place_of(std::optional<std::int64_t> last_open_us, std::int64_t now_us);

/// How many rows may be claimed now. While the broker is away one row asks for all of them, with back-off, so that an
/// outage costs no row its patience and everything flows at once when it returns.
class Gate {
 public:
  explicit Gate(const OutboxConfig& config);
  /// 0: not before opens_at().
  std::size_t limit(Monotonic now, std::size_t in_flight) const;
  Monotonic opens_at() const { return opens_at_; }
  bool away() const { return failures_ > 0; }
  void passed();
  void failed(Monotonic now, sys::Random& random);

 private:
  const OutboxConfig& config_;
  const net::Backoff backoff_;
  std::uint32_t failures_ = 0;
  Monotonic opens_at_{};
};

/// One row's way into a request.
struct Parcel {
  std::string_view topic;
  std::size_t bytes = 0;
};
/// Indexes of `parcels`, grouped: each group is of one topic and within the limits; order within a topic stays.
std::vector<std::vector<std::size_t>> pack(std::span<const Parcel> parcels, const OutboxConfig& config);

}  // namespace hf::participant
