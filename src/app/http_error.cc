#include "app/http_error.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace hf::app {
namespace {

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
      return 429;
    case Code::timeout:
      return 504;
    case Code::unavailable:
      return 503;
    case Code::corrupt:
    case Code::internal:
      return 500;
  }
  HF_ASSERT(false);
}

net::HttpResponse body_of(int status, std::string_view code, std::string_view message) {
  const boost::json::object body{{"error", {{"code", code}, {"message", message}}}};
  return net::HttpResponse::json(status, boost::json::serialize(body));
}

}  // namespace

net::HttpResponse http_error(const Error& error) {
  return body_of(status_of(error.code), to_string(error.code), error.message);
}

net::HttpResponse http_refusal(const net::HttpRequest& request, int status) {
  if (status == 405) return body_of(405, "method_not_allowed", fmt::format("{} is not possible here", request.method));
  if (status == 400) return body_of(400, "invalid", "the path is not well encoded");
  return body_of(404, "not_found", fmt::format("there is no {}", request.path()));
}

}  // namespace hf::app
