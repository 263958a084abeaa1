#pragma once

/// From the message to the customer: router, notifier, phone; whatever mode the shop runs.

#include <memory>
#include <vector>

#include "app/role_context.h"
#include "console/admin_server.h"
#include "net/http.h"
#include "notifier/notifier.h"
#include "phone/phone.h"
#include "router/router.h"

namespace hf::app {

/// One strand. `context` outlives it; stop() is awaited before it is destroyed.
class DeliveryRoles {
 public:
  explicit DeliveryRoles(RoleContext& context);

  /// Starts those that this process has, from the end of the flow: each calls the one after it at once.
  Task<> start();
  /// In the order of the flow.
  asio::awaitable<void> stop(Monotonic deadline);
  std::vector<console::AdminMount> admin();

 private:
  Task<> start_phone();
  Task<> start_notifier();
  Task<> start_router();

  RoleContext& context_;
  net::HttpClient provider_client_;  ///< the notifier's calls
  net::HttpClient callback_client_;  ///< the phone's status callbacks
  std::unique_ptr<phone::Phone> phone_;
  std::unique_ptr<notifier::Notifier> notifier_;
  std::unique_ptr<mq::Client> messages_;
  std::unique_ptr<router::Router> router_;
  LateHandler router_admin_, notifier_admin_;
};

}  // namespace hf::app
