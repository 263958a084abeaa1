#include "console/admin_server.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/bytes.h"
#include "net/http_problem.h"

namespace hf::console {
namespace {

namespace json = boost::json;
using net::HttpRequest;
using net::HttpResponse;

class AdminServer {
 public:
  AdminServer(AdminOptions options, const metrics::Registry& metrics, std::vector<AdminMount> mounts)
      : options_(std::move(options)), metrics_(metrics), mounts_(std::move(mounts)) {}

  asio::awaitable<HttpResponse> answer(HttpRequest request) {
    const std::string path(request.path());
    if (path == "/health") co_return health(request);
    if (!authorized(request)) co_return net::problem(401, "unauthorized", "give the token: Authorization: Bearer …");
    for (const AdminMount& mount : mounts_) {
      if (path == mount.prefix || path.starts_with(mount.prefix + "/"))
        co_return co_await mount.handler(std::move(request));
    }
    if (request.method != "GET") co_return net::problem(405, "method_not_allowed", "only GET here");
    if (path == "/metrics") {
      co_return HttpResponse::text(200, metrics_.expose(), "text/plain; version=0.0.4; charset=utf-8");
    }
    if (path == "/admin/roles") co_return HttpResponse::json(200, json::serialize(roles()));
    co_return net::problem(404, "not_found", "there is no " + path);
  }

 private:
  bool authorized(const HttpRequest& request) const {
    if (options_.token.empty()) return true;
    return equal_in_constant_time(request.headers.get("authorization").value_or(""), "Bearer " + options_.token);
  }

  json::object roles() const {
    json::object all;
    for (const auto& [name, status] : options_.roles()) {
      json::object role{{"address", status.address}, {"trouble", status.trouble}};
      if (!status.mode.empty()) role["mode"] = status.mode;
      all[name] = std::move(role);
    }
    return all;
  }

  HttpResponse health(const HttpRequest& request) const {
    if (request.method != "GET" && request.method != "HEAD")
      return net::problem(405, "method_not_allowed", "only GET here");
    bool well = !options_.draining();
    for (const auto& [name, status] : options_.roles()) well = well && status.trouble.empty();
    const json::object body{{"status", options_.draining() ? "draining" : well ? "ok" : "failing"}, {"roles", roles()}};
    return HttpResponse::json(well ? 200 : 503, json::serialize(body));
  }

  const AdminOptions options_;
  const metrics::Registry& metrics_;
  const std::vector<AdminMount> mounts_;
};

}  // namespace

net::HttpHandler make_admin_handler(AdminOptions options, const metrics::Registry& metrics,
                                    std::vector<AdminMount> mounts) {
  auto server = std::make_shared<AdminServer>(std::move(options), metrics, std::move(mounts));
  return [server](HttpRequest request) { return server->answer(std::move(request)); };
}

}  // namespace hf::console
