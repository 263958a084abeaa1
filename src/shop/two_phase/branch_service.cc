#include "shop/two_phase/branch_service.h"

#include "base/log.h"
#include "shop/two_phase/texts.h"

namespace hf::shop::two_phase {
namespace {

using participant::Keeps;

Keeps keeps_of(const BranchStoreConfig& config, sql::Database& database) {
  return config.xa && database.xa() != nullptr ? Keeps::xa : Keeps::reservation;
}

participant::BranchConfig branch_config(const std::string& name, const BranchStoreConfig& config) {
  participant::BranchConfig branch;
  branch.name = name;
  branch.open_max = config.open_max;
  branch.active_max = config.active_max;
  branch.keep_ended = config.keep_ended;
  return branch;
}

std::unique_ptr<participant::Branches> make_branches(sys::World world, Keeps keeps, sql::Database& database,
                                                     participant::BranchConfig config, participant::Settle settle) {
  if (keeps == Keeps::xa) return participant::make_xa_branches(std::move(world), database, std::move(config));
  return participant::make_reservation_branches(std::move(world), database, std::move(config), std::move(settle));
}

net::HttpResponse no_such(const net::HttpRequest& request, int status) {
  if (status == 405) return text_answer(status, request.method + " is not offered here");
  if (status == 400) return text_answer(status, "the path has a broken percent-encoding");
  return text_answer(status, "there is nothing at this path");
}

net::HttpResponse passing(std::string text) {
  net::HttpResponse response = text_answer(503, std::move(text));
  response.headers.add("Retry-After", "1");
  return response;
}

}  // namespace

net::HttpResponse text_answer(int status, std::string text) { return net::HttpResponse::text(status, std::move(text)); }

net::HttpResponse refuse(const BadRequest& bad) { return text_answer(bad.status, bad.message); }

net::HttpResponse answer_error(const Error& error) {
  switch (error.code) {
    case Code::not_found:
      return text_answer(404, error.message);
    case Code::conflict:
      if (is_refusal(error.message)) return text_answer(409, error.message);
      if (error.message == kPriceChanged) return text_answer(412, error.message);
      return passing(error.message);  // the branch is over, the transaction prepares: this one is lost, not the order
    case Code::invalid:
      return text_answer(400, error.message);
    case Code::denied:
      return text_answer(403, error.message);
    case Code::exhausted:
    case Code::unavailable:
    case Code::timeout:
      return passing(error.message);
    case Code::corrupt:
    case Code::internal:
      log::error("shop.branch.failed", {{"error", error.to_string()}});
      return text_answer(500, "our mistake; it is logged");
  }
  return text_answer(500, "our mistake");
}

BranchService::BranchService(sys::World world, const BranchStoreConfig& config, participant::TwoPhaseConfig link,
                             sql::Database& database, participant::Settle settle, participant::SendHttp send)
    : world_(std::move(world)),
      name_(link.name),
      keeps_(keeps_of(config, database)),
      router_(no_such),
      branches_(make_branches(world_, keeps_, database, branch_config(name_, config), std::move(settle))),
      participant_(world_, std::move(link), *branches_, std::move(send)) {
  participant_.mount(router_);
}

Task<> BranchService::start() {
  HF_CO_TRY(co_await branches_->start());
  HF_CO_TRY(co_await participant_.start());
  log::info("shop.branches.started", {{"service", name_}, {"keeps", keeps_ == Keeps::xa ? "xa" : "reservation"}});
  co_return ok();
}

asio::awaitable<void> BranchService::close() {
  co_await participant_.stop();
  co_await branches_->close();
}

bool BranchService::heard_before(const std::string& gtrid, const net::HttpRequest& request) {
  constexpr std::size_t kRemembered = 100'000;  // calls; a duplicate comes within moments
  const auto id = request.headers.get(kCallIdHeader);
  if (!id) return false;
  const std::string call = gtrid + " " + std::string(id->substr(0, 64));
  if (!heard_.insert(call).second) return true;
  heard_order_.push_back(call);
  if (heard_order_.size() > kRemembered) {
    heard_.erase(heard_order_.front());
    heard_order_.pop_front();
  }
  return false;
}

asio::awaitable<net::HttpResponse> BranchService::in_branch(net::HttpRequest request, participant::Work work) {
  const Result<std::string> gtrid = co_await participant_.join(request);
  if (!gtrid) co_return answer_error(gtrid.error());
  // A duplicate still goes through the branch, behind the first: it hears whether that one took effect.
  if (heard_before(*gtrid, request)) work = [](participant::BranchTx) { return ok(); };
  // The path belongs to what was asked: two calls of one branch may have the same body.
  std::string payload = request.method + " " + std::string(request.path()) + "\n" + request.body;
  const Result<void> done = co_await branches_->run(*gtrid, std::move(payload), std::move(work));
  if (!done) {
    log::debug("shop.branch.refused", {{"service", name_}, {"gtrid", *gtrid}, {"error", done.error().message}});
    co_return answer_error(done.error());
  }
  co_return text_answer(200, "");
}

}  // namespace hf::shop::two_phase
