#include "net/http_problem.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace hf::net {
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

HttpResponse problem(const Error& error) {
  HttpResponse response = problem(status_of(error.code), to_string(error.code), error.message);
  if (response.status == 503 || response.status == 504) response.headers.add("Retry-After", "1");
  return response;
}

HttpResponse problem(int status, std::string_view code, std::string_view message) {
  const boost::json::object body{{"error", {{"code", code}, {"message", message}}}};
  return HttpResponse::json(status, boost::json::serialize(body));
}

HttpResponse route_problem(const HttpRequest& request, int status) {
  if (status == 405) {
    return problem(405, "method_not_allowed", fmt::format("{} is not possible here", request.method));
  }
  if (status == 400) return problem(400, "invalid", "the path is not well encoded");
  return problem(404, "not_found", fmt::format("there is no {}", request.path()));
}

}  // namespace hf::net
