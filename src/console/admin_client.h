#pragma once

/// How the commands reach a running Holdfast: its administration port, and through it the addresses of its roles.

#include <boost/json/value.hpp>
#include <map>
#include <string>

#include "net/http.h"
#include "sys/world.h"

namespace hf::console {

/// One strand. Errors: unavailable (nobody answers at `base`; the message says how to start one), and what the server's
/// error bodies say: not_found, invalid, conflict, denied.
class AdminClient {
 public:
  AdminClient(sys::World world, std::string base, std::string token);

  Task<boost::json::value> get(std::string path);
  Task<boost::json::value> post(std::string path, boost::json::value body);
  /// The same at a role's own address: role_get("shop", "/orders/17").
  Task<boost::json::value> role_get(std::string role, std::string path, net::HttpHeaders headers = {});
  /// What the shop of that process runs: "message", "outbox", "2pc".
  Task<std::string> shop_mode();
  /// Status and body as they come, for answers in which "no" is a result: POST /orders.
  Task<net::HttpResponse> role_send(std::string role, net::HttpRequest request);

 private:
  Task<boost::json::value> exchange(net::HttpRequest request, std::string url);
  Task<std::string> address_of(std::string role);

  sys::World world_;
  const std::string base_, token_;
  net::HttpClient http_;
  std::map<std::string, std::string> addresses_;
};

}  // namespace hf::console
