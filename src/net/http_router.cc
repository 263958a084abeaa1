#include "net/http_router.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/bytes.h"

namespace hf::net {

namespace {

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

std::string_view path_value(const PathValues& values, std::string_view name) {
  for (const auto& [key, value] : values) {
    if (key == name) return value;
  }
  return {};
}

bool HttpRouter::Segment::fits(std::string_view segment) const {
  if (name.empty()) return segment == before;
  return segment.size() > before.size() + after.size() && segment.starts_with(before) && segment.ends_with(after);
}

std::vector<HttpRouter::Segment> HttpRouter::parse_template(std::string_view path_template) {
  HF_ASSERT(path_template.starts_with('/'));
  std::vector<Segment> segments;
  for (const std::string_view text : split_path(path_template)) {
    const std::size_t open = text.find('{'), close = text.find('}');
    if (open == std::string_view::npos) {
      segments.push_back({std::string(text), "", ""});
      continue;
    }
    HF_ASSERT(close != std::string_view::npos && close > open + 1);
    segments.push_back({std::string(text.substr(0, open)), std::string(text.substr(open + 1, close - open - 1)),
                        std::string(text.substr(close + 1))});
  }
  return segments;
}

void HttpRouter::add(std::string method, std::string_view path_template, Handler handler) {
  Route route{std::move(method), parse_template(path_template), std::move(handler)};
  // Plain text before {names}, and of two names the one with more text around it.
  const auto rank = [](const Segment& s) {
    return s.name.empty() ? -1 : 1'000'000 - static_cast<int>(s.before.size() + s.after.size());
  };
  const auto before = [&](const Route& a, const Route& b) {
    return std::ranges::lexicographical_compare(a.segments, b.segments, {}, rank, rank);
  };
  for (const Route& other : routes_) HF_ASSERT(other.method != route.method || other.segments != route.segments);
  routes_.insert(std::ranges::upper_bound(routes_, route, before), std::move(route));
}

bool HttpRouter::fits(const Route& route, const std::vector<std::string_view>& path) {
  return std::ranges::equal(route.segments, path, [](const Segment& s, std::string_view p) { return s.fits(p); });
}

const HttpRouter::Route* HttpRouter::find(std::string_view method, const std::vector<std::string_view>& path) const {
  for (const Route& route : routes_) {
    if (route.method == method && fits(route, path)) return &route;
  }
  return method == "HEAD" ? find("GET", path) : nullptr;
}

std::string HttpRouter::allowed(const std::vector<std::string_view>& path) const {
  std::set<std::string> methods;
  for (const Route& route : routes_) {
    if (fits(route, path)) methods.insert(route.method);
  }
  if (methods.contains("GET")) methods.insert("HEAD");
  std::string list;
  for (const std::string& method : methods) list += (list.empty() ? "" : ", ") + method;
  return list;
}

asio::awaitable<HttpResponse> HttpRouter::handle(HttpRequest request) const {
  const std::vector<std::string_view> path = split_path(request.path());  // views into request.target
  const Route* route = find(request.method, path);
  if (route == nullptr) {
    const std::string methods = allowed(path);
    HttpResponse refusal = refuse_(request, methods.empty() ? 404 : 405);
    if (!methods.empty()) refusal.headers.set("Allow", methods);
    co_return refusal;
  }
  PathValues values;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const Segment& segment = route->segments[i];
    if (segment.name.empty()) continue;
    const std::size_t size = path[i].size() - segment.before.size() - segment.after.size();
    std::optional<std::string> value = percent_decode(path[i].substr(segment.before.size(), size));
    if (!value) co_return refuse_(request, 400);
    values.emplace_back(segment.name, std::move(*value));
  }
  co_return co_await route->handler(std::move(request), std::move(values));
}

}  // namespace hf::net
