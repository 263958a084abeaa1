#pragma once

/// The coordinator's calls to participants: one prepare, one try of a notify. What an answer means is decided here, in
/// pure functions; when to call again is the engine's.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "coordinator/config.h"
#include "coordinator/transaction.h"
#include "net/http.h"
#include "sys/wait.h"
#include "sys/world.h"

namespace hf::coordinator {

using SendHttp = std::function<Task<net::HttpResponse>(net::HttpRequest request, std::string url, Monotonic deadline)>;

/// Voted, or Silent for everything that is no vote.
Event read_vote(std::size_t who, const Result<net::HttpResponse>& answer);
/// Acknowledged, Contradicted, or NotTold for everything that ends nothing: it is told again.
///   commit: 200 committed → acknowledged · 200 aborted → contradicted · 404 Transaction-Unknown → contradicted
///   abort:  200 aborted, 404 Transaction-Unknown → acknowledged · 200 committed → contradicted
/// A 404 without that text is no word of the participant's: something else answers at its address.
Event read_acknowledgement(std::size_t who, Decision decision, const Result<net::HttpResponse>& answer);

/// One strand. At most `calls_per_participant` calls under way per address, so that one that hangs holds up no other.
class Calls {
 public:
  Calls(sys::World world, const CoordinatorConfig& config, SendHttp send);

  /// Ends within prepare_timeout.
  asio::awaitable<Event> prepare(std::string gtrid, std::size_t who, std::string url);
  /// Ends within notify_timeout.
  asio::awaitable<Event> notify(std::string gtrid, std::size_t who, std::string url, Decision decision);

 private:
  struct Lane {
    explicit Lane(sys::Clock& clock) : free(clock) {}
    std::size_t under_way = 0, users = 0;
    sys::Event free;
  };
  Task<net::HttpResponse> post(std::string url, std::string body, Duration timeout);
  Task<net::HttpResponse> post_in(Lane& lane, std::string url, std::string body, Monotonic deadline);

  sys::World world_;
  const CoordinatorConfig& config_;
  const SendHttp send_;
  std::map<std::string, std::unique_ptr<Lane>> lanes_;  ///< by origin; those in use
  metrics::Histogram& prepare_seconds_;
  metrics::Histogram& notify_seconds_;
};

}  // namespace hf::coordinator
