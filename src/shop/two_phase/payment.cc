#include "shop/two_phase/payment.h"

#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "shop/two_phase/branch_service.h"
#include "shop/two_phase/payment_store.h"
#include "shop/two_phase/requests.h"

namespace hf::shop::two_phase {
namespace {

namespace json = boost::json;

participant::TwoPhaseConfig named(participant::TwoPhaseConfig link) {
  link.name = "payment";
  return link;
}

json::object to_json(const Account& account) {
  json::object object = {
      {"cardNo", account.card_no}, {"amount", account.amount}, {"held", account.held}, {"paid", account.paid}};
  if (account.opening) object["opening"] = *account.opening;
  return object;
}

}  // namespace

struct Payment::Impl {
  Impl(sys::World world, PaymentConfig config_, participant::TwoPhaseConfig link, sql::Database& database,
       participant::SendHttp send)
      : config(std::move(config_)),
        store(database),
        service(std::move(world), config.branches, named(std::move(link)), database, PaymentStore::settle,
                std::move(send)) {
    service.router().add("POST", "/payment/pay",
                         [this](net::HttpRequest request, net::PathValues) { return pay(std::move(request)); });
    service.router().add("GET", "/payment/accounts", [this](net::HttpRequest, net::PathValues) { return accounts(); });
  }

  asio::awaitable<net::HttpResponse> pay(net::HttpRequest request) {
    std::variant<PaymentRequest, BadRequest> parsed = parse_payment(request.body);
    if (const auto* bad = std::get_if<BadRequest>(&parsed)) co_return refuse(*bad);
    PaymentRequest& asked = std::get<PaymentRequest>(parsed);
    participant::Work work = PaymentStore::charge(std::move(asked.card_no), asked.amount);
    co_return co_await service.in_branch(std::move(request), std::move(work));
  }

  asio::awaitable<net::HttpResponse> accounts() {
    const Result<std::vector<Account>> all = co_await store.accounts();
    if (!all) co_return answer_error(all.error());
    json::array list;
    for (const Account& account : *all) list.push_back(to_json(account));
    co_return net::HttpResponse::json(200, json::serialize(json::object{{"accounts", std::move(list)}}) + "\n");
  }

  const PaymentConfig config;
  PaymentStore store;
  BranchService service;
};

Payment::Payment(sys::World world, PaymentConfig config, participant::TwoPhaseConfig link, sql::Database& database,
                 participant::SendHttp send)
    : impl_(std::make_unique<Impl>(std::move(world), std::move(config), std::move(link), database, std::move(send))) {}
Payment::~Payment() = default;

Task<> Payment::start() {
  HF_CO_TRY(std::vector<SampleAccount> accounts, parse_accounts(impl_->config.accounts));
  HF_CO_TRY(co_await impl_->store.open(std::move(accounts)));
  co_return co_await impl_->service.start();
}

net::HttpHandler Payment::handler() {
  return [this](net::HttpRequest request) { return impl_->service.router().handle(std::move(request)); };
}

participant::Branches& Payment::branches() { return impl_->service.branches(); }

asio::awaitable<void> Payment::close() { co_await impl_->service.close(); }

}  // namespace hf::shop::two_phase
