#pragma once

/// Transactional messages that are stored and not yet decided, and when to ask about them.
///
///                      store()                          decide(): record on its way        settle(): durable
///        (nothing) ───────────────▶ pending ─────────────────────────────▶ deciding ─────────────────────▶ committed
///                                   ▲    │ park(): checks used up, or       │    ▲                     or rolled back
///                        restart()  │    │ window over; durable record      │    │ decide()
///                                   │    ▼                                  │    │
///                                   parked ─────────────────────────────────┼────┘
///                                   ▲                                       │
///                                   └───────── cancel(): not written ◀──────┘ (back to where it was)
///
/// What may be trusted: a half message is consumable in no state of this machine (P1). The first decide() wins and is
/// final once its record is in the log's order (P3); no timer ever decides: the last check parks. *Committed* and
/// *rolled back* are remembered without an entry per message: a half message that lies in the log, is not here and is
/// not among the rolled back ones was committed. Pure: no clock, no I/O.

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "broker/config.h"
#include "broker/ids.h"

namespace hf::broker {

enum class Verdict : std::uint8_t { commit = 1, rollback = 2 };
std::string_view to_string(Verdict verdict);

class HalfMessages {
 public:
  explicit HalfMessages(CheckBackConfig config) : config_(config) {}

  struct Half {
    TopicId topic;
    std::uint32_t tag_hash = 0;
    std::uint32_t nonce = 0;        ///< part of the transaction id, so that one cannot be guessed
    Duration first_check{};         ///< orphaned_transaction_recovery_duration; 0: the configured one
    std::string sender;             ///< client id
    std::int64_t stored_at_us = 0;  ///< for people
  };
  /// The record is durable (or replayed). Checks are timed from `now`: this broker's clock, never the client's.
  void store(Position position, Half half, Monotonic now);

  enum class Answer {
    accepted,  ///< write the decision, then settle() or cancel()
    same,      ///< decided so already, or being written: OK once `wait_for` is durable
    conflict,  ///< decided otherwise, or being written
    unknown,   ///< not here and not rolled back: look into the log (was it committed, or never there?)
  };
  struct Outcome {
    Answer answer = Answer::unknown;
    Position wait_for = 0;  ///< the decision on its way; 0: nothing to wait for
  };
  Outcome decide(Position half, std::uint32_t nonce, Verdict verdict);
  /// The decision just accepted stands in the log at `decision`.
  void deciding(Position half, Position decision);
  void cancel(Position half);
  /// The decision is durable. Gives the half message back; nullopt if it was decided before (replay of an old log).
  std::optional<Half> settle(Position half, Verdict verdict);
  bool was_rolled_back(Position half) const;

  // ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────
  enum class Due { check, park };
  struct DueHalf {
    Position position = 0;
    Due what = Due::check;
  };
  /// What is due at `now`; the driver acts and reports with one of the calls below. At most `limit`.
  std::vector<DueHalf> due(Monotonic now, std::size_t limit);
  Monotonic next_due() const;
  /// A live client got the question. Returns how many it were by now.
  int checked(Position half, Monotonic now);
  /// Nobody could be asked; it does not count. Asked again at the next interval, or as soon as a producer of the topic
  /// shows up (announced()).
  void nobody_to_ask(Position half, Monotonic now);
  void announced(TopicId topic, Monotonic now);
  /// The parked record is durable (or replayed).
  void park(Position half);
  /// The record could not be written: tried again at the next interval.
  void park_later(Position half, Monotonic now);
  /// An operator wants it asked again, from the first check on. False: not here, or being decided.
  bool restart(Position half, Monotonic now);
  /// The next check is due at once. False: parked (restart() it), not here, or being decided.
  bool recheck(Position half, Monotonic now);
  void restore_checks(Position half, int checks);

  struct Info {
    Position position = 0;
    Half half;
    int checks = 0;
    bool parked = false, deciding = false;
    Monotonic next_check;
  };
  std::optional<Info> find(Position half) const;
  std::vector<Info> list(std::size_t limit) const;
  std::size_t pending() const { return halves_.size() - parked_; }
  std::size_t parked() const { return parked_; }
  std::size_t size() const { return halves_.size(); }
  /// The lowest position that is still needed; max if none.
  Position lowest_position() const { return halves_.empty() ? ~Position{0} : *positions_.begin(); }
  /// Halves below `position` are no longer in the log.
  void forget_rolled_back_below(Position position);
  const std::deque<Position>& rolled_back() const { return rolled_back_; }
  void restore_rolled_back(Position half) { rolled_back_.push_back(half); }

 private:
  enum class State : std::uint8_t { pending, parked };
  struct Entry {
    Half half;
    State state = State::pending;
    bool deciding = false, starving = false, parking = false;
    Verdict verdict = Verdict::commit;
    Position decision = 0;
    int checks = 0;
    Monotonic due, park_at = Monotonic::max();
  };
  using Entries = std::unordered_map<Position, Entry>;
  void schedule(Position position, Entry& entry, Monotonic due);
  void unschedule(Position position, Entry& entry);
  Duration first_check_of(const Half& half) const;

  CheckBackConfig config_;
  Entries halves_;
  std::set<Position> positions_;                     ///< keys of halves_, in order
  std::set<std::pair<Monotonic, Position>> due_;     ///< pending, not deciding, not parking
  std::set<std::pair<TopicId, Position>> starving_;  ///< nobody could be asked
  std::size_t parked_ = 0;
  std::deque<Position> rolled_back_;  ///< sorted
};

}  // namespace hf::broker
