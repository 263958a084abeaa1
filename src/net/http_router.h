#pragma once

/// Method and path template → handler. What fits nothing is refused in the shape that the owner's protocol has.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http.h"

namespace hf::net {

/// What the template's names stood for, percent-decoded, in the template's order.
using PathValues = std::vector<std::pair<std::string, std::string>>;
std::string_view path_value(const PathValues& values, std::string_view name);  ///< "" if the template has no such name

/// Filled before the first request; strand only. Outlives its requests.
///
///   HttpRouter router([](const HttpRequest&, int status) { return shop_error(status, …); });
///   router.add("GET", "/orders/{id}", [this](HttpRequest request, PathValues path) { return show(…); });
///   router.add("POST", "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json", …);
///   options.http = [&router](HttpRequest request) { return router.handle(std::move(request)); };
class HttpRouter {
 public:
  using Handler = std::function<asio::awaitable<HttpResponse>(HttpRequest, PathValues)>;
  /// Makes the response for `status` 404, 405 (Allow is added to it) or 400 (a broken percent-encoding in the path).
  using Refuse = std::function<HttpResponse(const HttpRequest&, int status)>;

  explicit HttpRouter(Refuse refuse) : refuse_(std::move(refuse)) {}

  /// A segment is text, or has one {name} with text around it ("{Sid}.json"). Where several templates fit, the one
  /// whose segments are text further to the left wins, whatever the order of the calls. HEAD is answered by GET's
  /// handler unless it has one of its own. Adding the same twice is an assertion.
  void add(std::string method, std::string_view path_template, Handler handler);
  asio::awaitable<HttpResponse> handle(HttpRequest request) const;

 private:
  struct Segment {
    std::string before, name, after;  ///< no name: `before` is all of it
    bool operator==(const Segment&) const = default;
    bool fits(std::string_view segment) const;
  };
  struct Route {
    std::string method;
    std::vector<Segment> segments;
    Handler handler;
  };
  static std::vector<Segment> parse_template(std::string_view path_template);
  static bool fits(const Route& route, const std::vector<std::string_view>& path);
  const Route* find(std::string_view method, const std::vector<std::string_view>& path) const;
  std::string allowed(const std::vector<std::string_view>& path) const;

  Refuse refuse_;
  std::vector<Route> routes_;  ///< the more particular ones first
};

}  // namespace hf::net
