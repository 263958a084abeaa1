#pragma once

/// The driver of planned lives: waits until a step is due, makes it durable, posts its callback.
///
/// Order: the status is durable before its callback leaves; the callback's outcome is recorded after it. So a crash in
/// between sends a callback again (Twilio may do that too), and never loses one that was due.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "net/http.h"
#include "phone/config.h"
#include "phone/store.h"
#include "sys/wait.h"
#include "sys/world.h"
#include "wire/twilio/callback.h"

namespace hf::phone {

/// net::HttpClient::send, or a test's own.
using Transport = std::function<Task<net::HttpResponse>(net::HttpRequest, std::string url, Monotonic deadline)>;

/// What a step does to its resource. Pure. Reports that have no REST status (`initiated`) leave the status alone.
void apply_step(Resource& resource, const Step& step, const PhoneConfig& config, WallTime now);

/// One strand. Everything given to the constructor outlives it; stop() before destruction.
class Lives {
 public:
  Lives(sys::World world, const PhoneConfig& config, Store& store, FaultSwitches& faults, Transport transport);

  /// Loads what a former process left open, and begins to work.
  Task<> resume();
  /// Takes over a life that is durable.
  void add(Life life);
  std::size_t unfinished() const { return lives_.size(); }
  asio::awaitable<void> stop();

 private:
  struct Due {
    std::string sid;
    std::size_t step = 0;
    bool report = false;  ///< else: apply
  };
  void schedule(const Life& life, Duration not_before);
  asio::awaitable<void> run();
  asio::awaitable<void> apply_due();
  void pump();
  asio::awaitable<void> report(Due due);
  asio::awaitable<void> fetch_twiml(std::string sid);
  asio::awaitable<wire::twilio::CallbackOutcome> post(std::string url, wire::twilio::Fields form);
  void close_step(const Due& due);

  sys::World world_;
  const PhoneConfig& config_;
  Store& store_;
  FaultSwitches& faults_;
  Transport transport_;
  sys::Event wake_;
  sys::TaskGroup tasks_;
  std::unordered_map<std::string, std::shared_ptr<Life>> lives_;
  std::multimap<Monotonic, Due> agenda_;
  std::deque<Due> to_report_;
  std::size_t reporting_ = 0;
  bool stopping_ = false;
  metrics::Counter& callbacks_sent_;
  metrics::Counter& callbacks_lost_;
  metrics::Counter& callbacks_failed_;
};

}  // namespace hf::phone
