#pragma once

/// The driver of the ledger: feeds events to it, makes the calls that its rows ask for, resolves what is unknown, wakes
/// who waits for an answer. Decides nothing: ledger_machine.h does.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "notifier/provider.h"
#include "notifier/store.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::notifier {

/// net::HttpClient::send, or a test's own. Its error classes are the whole point (net/http.h).
using Transport = std::function<Task<net::HttpResponse>(net::HttpRequest, std::string url, Monotonic deadline)>;

/// One strand. Everything given to the constructor outlives it; stop() before destruction.
class Dispatcher {
 public:
  Dispatcher(sys::World world, const NotifierConfig& config, Store& store, Transport transport);

  /// Takes over what a former process left: `sending` rows become unknown; the rest goes on at its due time.
  Task<> resume();

  /// Makes a new row durable and calls the provider, or finds the row that has its dedup key. Completes when the row is
  /// settled or parked, or at `deadline` with the row as it stands then; the work goes on by itself.
  /// Errors: exhausted (no free call until the deadline, or too many unsettled: nothing stored) · the database's.
  Task<Notification> submit(Notification row, Monotonic deadline);

  /// A verified status callback. Completes when it is durable.
  Task<Applied> report(std::string id, Reported report, std::string key);
  /// Errors: not_found; conflict: it means nothing in the state the notification is in.
  Task<Notification> operate(std::string id, Event event);
  /// Passes a provider's report on to the client's own StatusCallback, as Twilio would: signed, and tried as its
  /// fragment says. Not durable, as Twilio's are not: fetching repairs it.
  void pass_on(const Notification& row, wire::twilio::Fields form);

  asio::awaitable<void> stop();

 private:
  struct Open {
    explicit Open(sys::Clock& clock) : changed(clock) {}
    Notification row;
    sys::Event changed;
  };
  using OpenPtr = std::shared_ptr<Open>;

  asio::awaitable<bool> acquire(Monotonic deadline);
  void release();
  OpenPtr track(const Notification& row);
  void settle(const Applied& applied, const Event& event);
  void refresh(const Notification& row);
  void plan(const Notification& row);
  Task<Applied> record(std::string id, Event event, std::string resource = {});
  asio::awaitable<void> note(std::string id, Event event);

  asio::awaitable<void> run();
  asio::awaitable<void> attend(std::string id);
  asio::awaitable<void> adopt(std::string id);
  asio::awaitable<void> call(Notification row);
  asio::awaitable<void> look(Notification row);
  Task<std::vector<Listed>> read_list(Notification row);
  asio::awaitable<void> poll(Notification row);
  asio::awaitable<void> pass(std::string url, wire::twilio::Fields form);

  sys::World world_;
  const NotifierConfig& config_;
  Store& store_;
  Transport transport_;
  sys::TaskGroup tasks_;
  sys::Event wake_;                                ///< the agenda or `stopping_` changed
  sys::Event free_;                                ///< a call ended
  std::unordered_map<std::string, OpenPtr> open_;  ///< waiting, sending, unknown
  std::multimap<Monotonic, std::string> agenda_;
  std::unordered_map<std::string, Monotonic> due_;  ///< the agenda's latest word on a notification
  std::unordered_map<std::string, bool> attended_;  ///< being attended to; true: came due again meanwhile
  std::size_t in_flight_ = 0;
  std::size_t passing_on_ = 0;
  Monotonic next_call_{};
  bool stopping_ = false;

  std::map<std::string, metrics::Counter*, std::less<>> events_;
  metrics::Counter& duplicates_;
  metrics::Gauge& unsettled_;
  metrics::Histogram& call_seconds_;
};

}  // namespace hf::notifier
