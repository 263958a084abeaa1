#pragma once

/// One client's standing at one endpoint of the broker: its Telemetry stream, the Settings on it, the heartbeats.
///
///            next(): open                settings_answered()
///   waiting ─────────────▶ opening ─────────────────────────▶ ready
///      ▲                     │ next(): abandon,                 │ next(): abandon, the answer to later
///      │                     │ no answer in time                │ Settings did not come in time
///      │     ended()         ▼                                  │
///      └───────────────── ending ◀─────────────────────────────┘     ended() leads to waiting from every state
///
/// ready: the server knows us, with the Settings of version answered(). Source: RocketMQ's official clients, and what
/// Apache's proxy demands: Settings before heartbeats and receives; a restart of the proxy forgets them.

#include <cstdint>
#include <deque>

#include "base/time.h"

namespace hf::mq {

class LinkMachine {
 public:
  struct Timing {
    Duration answer = 6s;           ///< the server's time to answer Settings
    Duration first_heartbeat = 1s;  ///< after Settings were answered first
    Duration heartbeat = 10s;
    Duration settings_refresh = 5min;
  };
  enum class State { waiting, opening, ready, ending };
  enum class Action {
    none,           ///< nothing before wake_at()
    open,           ///< open a Telemetry stream
    send_settings,  ///< write the current Settings to it
    heartbeat,      ///< make a Heartbeat call
    abandon,        ///< end the stream; ended() follows
  };

  LinkMachine(Timing timing, Monotonic now) : timing_(timing), open_at_(now) {}

  /// What to do now. Each answer other than `none` counts as done; ask again until it is `none`.
  Action next(Monotonic now);
  Monotonic wake_at() const;

  /// Our Settings are others than before (a topic more).
  void settings_changed() { ++wanted_; }
  /// The server answered the oldest Settings it had not answered yet.
  void settings_answered(Monotonic now);
  /// The server does not know us (UNRECOGNIZED_CLIENT_TYPE to a heartbeat): the Settings go out again at once.
  void settings_lost();
  /// The stream is over, for whatever reason; it is opened again after `wait`.
  void ended(Monotonic now, Duration wait);

  State state() const { return state_; }
  std::uint64_t wanted() const { return wanted_; }
  /// True if the server has taken Settings of this version or a later one, on the stream that is open now.
  bool settled(std::uint64_t version) const { return state_ == State::ready && answered_ >= version; }

 private:
  bool streaming() const { return state_ == State::opening || state_ == State::ready; }

  const Timing timing_;
  State state_ = State::waiting;
  Monotonic open_at_;
  Monotonic heartbeat_at_ = Monotonic::max(), refresh_at_ = Monotonic::max(), answer_by_ = Monotonic::max();
  std::uint64_t wanted_ = 1;    // version of our Settings
  std::uint64_t sent_ = 0;      // … last written to this stream
  std::uint64_t answered_ = 0;  // … last taken by the server on this stream
  std::deque<std::uint64_t> unanswered_;
};

}  // namespace hf::mq
