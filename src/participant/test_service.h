#pragma once

/// A small service for tests: POST /take "item qty" inside a transaction, prepare and notify, the admin face.

#include "net/listener.h"
#include "participant/branches_fixture.h"
#include "participant/two_phase.h"

namespace hf::participant {

inline int status_of(Code code) {
  switch (code) {
    case Code::denied:
      return 403;
    case Code::invalid:
      return 400;
    case Code::conflict:
      return 409;
    default:
      return 503;
  }
}

/// One life of it. `branches` outlives it.
class TestService {
 public:
  TestService(sys::World world, TwoPhaseConfig config, Branches& branches, SendHttp send)
      : branches_(branches),
        participant_(std::move(world), std::move(config), branches, std::move(send)),
        router_([](const net::HttpRequest&, int status) { return net::HttpResponse::text(status, "no such path"); }) {
    participant_.mount(router_);
    router_.add("POST", "/take",
                [this](net::HttpRequest request, net::PathValues) { return take_part(std::move(request)); });
  }
  asio::awaitable<net::HttpResponse> handle(net::HttpRequest request) { return router_.handle(std::move(request)); }
  Participant& participant() { return participant_; }

 private:
  static net::HttpResponse refuse(const Error& error) {
    return net::HttpResponse::text(status_of(error.code), error.message);
  }
  asio::awaitable<net::HttpResponse> take_part(net::HttpRequest request) {
    const Result<std::string> gtrid = co_await participant_.join(request);
    if (!gtrid) co_return refuse(gtrid.error());
    std::istringstream in(request.body);
    std::int64_t item = 0, qty = 0;
    in >> item >> qty;
    Work work = take(item, qty);
    const Result<void> done = co_await branches_.run(*gtrid, request.body, std::move(work));
    co_return done ? net::HttpResponse::text(200, "taken") : refuse(done.error());
  }

  Branches& branches_;
  Participant participant_;
  net::HttpRouter router_;
};

}  // namespace hf::participant
