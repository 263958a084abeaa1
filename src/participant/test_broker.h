#pragma once

/// For the tests of participant and of services on it: a broker in memory, and what can go wrong on the way to it. The
/// real broker and client run under the same scenarios in tests/sim.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "participant/outbox.h"

namespace hf::participant {

class TestBroker {
 public:
  explicit TestBroker(sys::Clock& clock) : clock_(clock) {}

  std::optional<Error> away;             ///< every request ends with it
  bool stores_anyway = false;            ///< … though its messages are stored (the answer was lost)
  std::map<std::string, Error> refuses;  ///< by outbox id: the verdict of that message
  Duration takes = 1ms;
  std::vector<mq::Message> stored;  ///< in the order of their arrival
  std::vector<Monotonic> requests;  ///< when each came

  Publish publish() {
    return [this](std::vector<mq::Message> messages) { return send(std::move(messages)); };
  }
  std::vector<std::string> ids() const {
    std::vector<std::string> ids;
    for (const mq::Message& message : stored) ids.push_back(message.keys.at(0));
    return ids;
  }
  std::map<std::string, int> times() const {
    std::map<std::string, int> times;
    for (const mq::Message& message : stored) ++times[message.keys.at(0)];
    return times;
  }

 private:
  Task<std::vector<Result<mq::SendReceipt>>> send(std::vector<mq::Message> messages) {
    requests.push_back(clock_.now());
    if (takes > Duration::zero()) co_await clock_.sleep_for(takes);
    std::vector<Result<mq::SendReceipt>> verdicts;
    for (mq::Message& message : messages) {
      const auto refused = refuses.find(message.keys.at(0));
      if (refused != refuses.end()) {
        verdicts.emplace_back(refused->second);
        continue;
      }
      verdicts.emplace_back(mq::SendReceipt{message.message_id, "", 0});
      if (!away || stores_anyway) stored.push_back(std::move(message));
    }
    if (away) co_return *away;
    co_return verdicts;
  }

  sys::Clock& clock_;
};

}  // namespace hf::participant
