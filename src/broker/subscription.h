#pragma once

/// One group's way through one topic: what it has not seen, what is out with a consumer, what is done.
///
///                 take()                    visible_at passes              take(): attempt + 1
///      unseen ────────────▶ in flight ────────────────────────▶ waiting ──────────────────────▶ in flight …
///         │                  │     ▲ change(): new handle, new visible_at
///         │ begin_settling() │     │
///         ▼                  ▼     │ cancel_settling(): the record could not be written
///      settling ◀───────── settling
///         │ settle(): the record (ack, skip, dead letter) is durable
///         ▼
///       done ──── reopen(): a dead letter was sent on again; back to waiting with no attempts
///
/// What may be trusted: *done* survives everything (P2). *In flight* is memory only: after a restart whatever is not
/// done is unseen again, except that attempts from the second on are remembered (restore_attempts). Pure: no clock, no
/// I/O.

#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "broker/ids.h"

namespace hf::broker {

class Subscription {
 public:
  /// Names one delivery of one message; part of the receipt handle.
  using Nonce = std::uint32_t;

  struct Delivery {
    QueueOffset offset = 0;
    int attempt = 1;
    Nonce nonce = 0;
  };
  enum class Verdict {
    accepted,
    already_done,  ///< nothing to do, and nothing wrong
    in_progress,   ///< its record is on the way to the disk: wait for it
    stale,         ///< expired, replaced by a newer handle, or never given
  };
  struct Taking {
    Monotonic now;
    Duration invisible = 30s;
    bool auto_renew = false;  ///< `invisible` is extended while the client lives
    ClientNumber client = 0;
  };
  using IsAlive = std::function<bool(ClientNumber)>;

  explicit Subscription(QueueOffset start) : done_below_(start), next_(start) {}

  // ── what to deliver ──────────────────────────────────────────────────────────────────────────────────────────────
  /// The next message to look at: the one waiting longest, else the first unseen below `end`. nullopt: nothing now.
  std::optional<QueueOffset> next_ready(Monotonic now, QueueOffset end, const IsAlive& alive);
  /// The attempt that delivering `offset` now would be; 1 if it is unseen.
  int next_attempt(QueueOffset offset) const;
  /// Hands out what next_ready() gave.
  Delivery take(QueueOffset offset, const Taking& taking);
  /// Remembers the hash of its message id, for calls that come without a handle.
  void label(const Delivery& delivery, std::uint64_t message_hash);
  /// When the first message in flight becomes visible again; max if none is.
  Monotonic next_visible() const;

  // ── what consumers say ───────────────────────────────────────────────────────────────────────────────────────────
  /// On `accepted` the message is settling: write the record, then settle() or cancel_settling().
  /// `foreign`: the handle is from before a restart; accepted if nobody got the message since.
  Verdict acknowledge(QueueOffset offset, Nonce nonce, bool foreign, QueueOffset end, Monotonic now);
  struct Changed {
    Verdict verdict = Verdict::stale;
    Nonce nonce = 0;
  };
  /// `forgive`: the delivery that ends thus does not count as an attempt (lite consumers' suspend).
  Changed change(QueueOffset offset, Nonce nonce, Monotonic now, Duration invisible, bool forgive);
  /// The delivery never reached the client: visible again at `at`, not counted.
  void take_back(QueueOffset offset, Nonce nonce, Monotonic at);
  /// The client is gone: what is renewed for it becomes visible at `at`.
  void release(ClientNumber client, Monotonic at);
  /// A message in flight with `client` by its id's hash; for dead-lettering without a handle.
  std::optional<Delivery> find_in_flight(ClientNumber client, std::uint64_t message_hash) const;

  // ── what is written down ─────────────────────────────────────────────────────────────────────────────────────────
  /// Out of the way of next_ready() while its record is on the way to the disk.
  void begin_settling(QueueOffset offset);
  void cancel_settling(QueueOffset offset, Monotonic now);
  /// Its record is durable.
  void settle(QueueOffset offset);
  void restore_attempts(QueueOffset offset, int attempts);
  void reopen(QueueOffset offset);

  bool is_done(QueueOffset offset) const;
  /// Everything below is done, except reopened messages (waiting_below()).
  QueueOffset done_below() const { return done_below_; }
  /// The first offset whose body is still needed.
  QueueOffset needed_from() const;
  std::size_t in_flight() const { return out_.size(); }
  /// Messages below `end` that are not done.
  std::int64_t lag(QueueOffset end) const;

  /// For snapshots: what is not plain. `attempts` holds waiting and in-flight messages with at least one attempt.
  struct Saved {
    QueueOffset done_below = 0;
    std::vector<QueueOffset> done_above;
    std::vector<std::pair<QueueOffset, int>> attempts;
  };
  Saved save() const;
  static Subscription restore(const Saved& saved);

  struct InFlight {
    QueueOffset offset = 0;
    int attempt = 0;
    bool visible = false;  ///< waiting for the next delivery
    ClientNumber client = 0;
    Monotonic visible_at;
  };
  std::vector<InFlight> list_in_flight(Monotonic now, std::size_t limit) const;

 private:
  struct Out {
    Nonce nonce = 0;  ///< 0: not with anybody
    int attempt = 0;
    bool auto_renew = false;
    bool settling = false;
    std::uint8_t renewals = 0;
    ClientNumber client = 0;
    std::uint64_t message_hash = 0;
    Monotonic visible_at, taken_at;
  };
  using OutMap = std::unordered_map<QueueOffset, Out>;
  OutMap::iterator find_valid(QueueOffset offset, Nonce nonce, Monotonic now);
  void schedule(OutMap::iterator out, Monotonic visible_at);
  bool renew(OutMap::iterator out, const IsAlive& alive, Monotonic now);
  void mark_done(QueueOffset offset);

  QueueOffset done_below_;
  std::deque<std::uint64_t> done_bits_;  ///< bit 0 of the first word is done_base_
  QueueOffset done_base_ = 0;            ///< a multiple of 64, ≤ done_below_ once done_bits_ is not empty
  std::int64_t done_above_ = 0;          ///< bits set at or above done_below_
  QueueOffset next_;                     ///< the first unseen, if it is neither done nor in out_
  OutMap out_;
  std::set<std::pair<Monotonic, QueueOffset>> due_;  ///< out_ without the settling ones
  Nonce last_nonce_ = 0;
};

}  // namespace hf::broker
