#include "coordinator/replies.h"

#include <boost/json/serialize.hpp>

#include "coordinator/codec.h"

namespace hf::coordinator {
namespace {

namespace json = boost::json;

constexpr std::size_t kHeuristicsShown = 1000;

json::string text(std::string_view value) { return json::string(json::string_view(value.data(), value.size())); }

net::HttpResponse problem(int status, std::string_view code, std::string_view message) {
  json::object error{{"code", text(code)}, {"message", text(message)}};
  return net::HttpResponse::json(status, json::serialize(json::object{{"error", std::move(error)}}));
}

int status_of(Code code) {
  switch (code) {
    case Code::invalid:
      return 400;
    case Code::denied:
      return 403;
    case Code::not_found:
      return 404;
    case Code::conflict:
      return 409;
    case Code::exhausted:
    case Code::unavailable:
      return 503;
    case Code::timeout:
      return 504;
    case Code::corrupt:
    case Code::internal:
      return 500;
  }
  HF_ASSERT(false);
}

}  // namespace

net::HttpResponse error_reply(const Error& error) {
  net::HttpResponse response = problem(status_of(error.code), to_string(error.code), error.message);
  if (response.status == 503 || response.status == 504) response.headers.add("Retry-After", "1");
  return response;
}

net::HttpResponse refusal(const net::HttpRequest&, int status) {
  if (status == 404) return problem(404, "not_found", "there is no such resource");
  if (status == 405) return problem(405, "invalid", "this resource does not take that method");
  return problem(status, "invalid", "the path is not well-formed");
}

asio::awaitable<net::HttpResponse> story_reply(const CoordinatorConfig& config, Engine& engine, Store& store,
                                               std::string gtrid) {
  const Result<std::optional<Transaction>> found = co_await engine.find(gtrid);
  if (!found) co_return error_reply(found.error());
  if (!*found) {
    co_return error_reply(Error{Code::not_found,
                                "nothing is stored of this transaction: it was never begun, was "
                                "aborted by a crash, or ended long ago"});
  }
  const Result<std::vector<Heuristic>> damages = co_await store.heuristics(gtrid, kHeuristicsShown);
  if (!damages) co_return error_reply(damages.error());
  co_return net::HttpResponse::json(200, story_json(**found, config.id, *damages));
}

}  // namespace hf::coordinator
