#include "console/admin_client.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace hf::console {
namespace {

namespace json = boost::json;

constexpr Duration kPatience = 30s;

Code code_of(int status) {
  switch (status) {
    case 400:
    case 405:
    case 413:
    case 422:
      return Code::invalid;
    case 401:
    case 403:
      return Code::denied;
    case 404:
      return Code::not_found;
    case 409:
      return Code::conflict;
    case 429:
      return Code::exhausted;
    case 502:
    case 503:
      return Code::unavailable;
    case 504:
      return Code::timeout;
    default:
      return Code::internal;
  }
}

/// Our error bodies are {"error":{"code":…,"message":…}}; anything else is shown as it is.
std::string message_of(const net::HttpResponse& response) {
  boost::system::error_code failed;
  const json::value body = json::parse(response.body, failed);
  if (!failed) {
    const json::value* message = body.find_pointer("/error/message", failed);
    if (message != nullptr && message->is_string()) return std::string(message->get_string());
  }
  return response.body.empty() ? fmt::format("HTTP {}", response.status) : response.body;
}

}  // namespace

AdminClient::AdminClient(sys::World world, std::string base, std::string token)
    : world_(world), base_(std::move(base)), token_(std::move(token)), http_(world, {}) {}

Task<json::value> AdminClient::exchange(net::HttpRequest request, std::string url) {
  if (!token_.empty()) request.headers.set("Authorization", "Bearer " + token_);
  const Result<net::HttpResponse> response =
      co_await http_.send(std::move(request), url, world_.clock.now() + kPatience);
  if (!response && response.error().code == Code::unavailable) {
    co_return Error{Code::unavailable, fmt::format("nobody answers at {}: is `holdfast serve` running?", url)};
  }
  if (!response) co_return response.error();
  if (response->status >= 300) co_return Error{code_of(response->status), message_of(*response)};
  boost::system::error_code failed;
  json::value body = json::parse(response->body, failed);
  if (failed) co_return Error{Code::internal, fmt::format("{} did not answer in JSON", url)};
  co_return body;
}

Task<json::value> AdminClient::get(std::string path) {
  net::HttpRequest request;
  request.method = "GET";
  co_return co_await exchange(std::move(request), base_ + path);
}

Task<json::value> AdminClient::post(std::string path, json::value body) {
  net::HttpRequest request;
  request.method = "POST";
  request.headers.set("Content-Type", "application/json");
  request.body = json::serialize(body);
  co_return co_await exchange(std::move(request), base_ + path);
}

Task<std::string> AdminClient::address_of(std::string role) {
  if (addresses_.empty()) {
    HF_CO_TRY(const json::value roles, co_await get("/admin/roles"));
    for (const auto& [name, status] : roles.as_object()) {
      addresses_[std::string(name)] = std::string(status.at("address").as_string());
    }
  }
  const auto found = addresses_.find(role);
  if (found == addresses_.end() || found->second.empty()) {
    co_return Error{Code::not_found, fmt::format("the process at {} has no role {}", base_, role)};
  }
  co_return found->second;
}

Task<std::string> AdminClient::shop_mode() {
  HF_CO_TRY(const json::value roles, co_await get("/admin/roles"));
  const json::value* const shop = roles.as_object().if_contains("shop");
  if (shop == nullptr) co_return Error{Code::not_found, fmt::format("the process at {} has no role shop", base_)};
  co_return std::string(shop->at("mode").as_string());
}

Task<json::value> AdminClient::role_get(std::string role, std::string path, net::HttpHeaders headers) {
  HF_CO_TRY(const std::string address, co_await address_of(role));
  net::HttpRequest request;
  request.method = "GET";
  request.headers = std::move(headers);
  co_return co_await exchange(std::move(request), address + path);
}

Task<net::HttpResponse> AdminClient::role_send(std::string role, net::HttpRequest request) {
  HF_CO_TRY(const std::string address, co_await address_of(role));
  const std::string url = address + request.target;
  co_return co_await http_.send(std::move(request), url, world_.clock.now() + kPatience);
}

}  // namespace hf::console
