#pragma once

/// What payment and inventory have in common: branches in their database, the way to the coordinator, an HTTP face
/// whose errors are texts.
///
/// 4xx: the request, or the state of card and stock; 412: the price has changed. 503: nothing is decided, a new
/// transaction may do better.

#include <deque>
#include <set>

#include "net/http_router.h"
#include "participant/two_phase.h"
#include "shop/config.h"
#include "shop/json_input.h"

namespace hf::shop::two_phase {

/// Tells the caller how branches are kept here, and with it whether rows stay locked until the end: "xa",
/// "reservation".
inline constexpr std::string_view kKeepsHeader = "x-holdfast-keeps";
/// On updateStock: the total that getTotalPrice answered. The update takes place at that price only.
inline constexpr std::string_view kTotalHeader = "x-holdfast-total-price";

/// On pay and updateStock: names the call within its transaction. The same name again is the same call, delivered
/// twice: it takes effect once.
inline constexpr std::string_view kCallIdHeader = "x-holdfast-call-id";

/// One strand. `database` outlives it; close() is awaited before it is destroyed.
class BranchService {
 public:
  BranchService(sys::World world, const BranchStoreConfig& config, participant::TwoPhaseConfig link,
                sql::Database& database, participant::Settle settle, participant::SendHttp send);

  net::HttpRouter& router() { return router_; }
  participant::Branches& branches() { return *branches_; }
  participant::Keeps keeps() const { return keeps_; }

  /// After the business tables are there.
  Task<> start();
  asio::awaitable<void> close();

  /// Joins the caller's transaction and runs `work` in this service's branch of it, once for a call id. 200 without a
  /// body, or the error.
  asio::awaitable<net::HttpResponse> in_branch(net::HttpRequest request, participant::Work work);

 private:
  bool heard_before(const std::string& gtrid, const net::HttpRequest& request);

  sys::World world_;
  const std::string name_;
  const participant::Keeps keeps_;
  net::HttpRouter router_;
  std::unique_ptr<participant::Branches> branches_;
  participant::Participant participant_;
  std::set<std::string> heard_;          ///< calls of recent branches: what a branch holds before its vote is in memory
  std::deque<std::string> heard_order_;  ///< … just as these are
};

net::HttpResponse text_answer(int status, std::string text);
net::HttpResponse refuse(const BadRequest& bad);
/// The status that a business call's error has, and its text; 503 with Retry-After for what is passing.
net::HttpResponse answer_error(const Error& error);

}  // namespace hf::shop::two_phase
