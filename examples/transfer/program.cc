#include "program.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "net/listener.h"

namespace transfer {
namespace {

namespace json = boost::json;
namespace net = hf::net;

constexpr std::size_t kTextMax = 64;
constexpr std::int64_t kAmountMax = 1'000'000'000'000;

Result<std::int64_t> number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return Error{Code::invalid, fmt::format("'{}' is not a number", text)};
}

int fail(const Error& error) {
  fmt::print(stderr, "{}\n", error.to_string());
  return 1;
}

}  // namespace

Result<Options> Options::parse(int argc, char** argv, const std::vector<std::string>& known) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    if (equals == std::string::npos || std::find(known.begin(), known.end(), name) == known.end()) {
      return Error{Code::invalid, fmt::format("'{}': options are {}=…", argument, fmt::join(known, "=…, "))};
    }
    options.values_.emplace(name, argument.substr(equals + 1));
  }
  return options;
}

std::string Options::get(const std::string& name, std::string otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::move(otherwise) : found->second;
}

std::vector<std::string> Options::all(const std::string& name) const {
  std::vector<std::string> out;
  for (auto [at, end] = values_.equal_range(name); at != end; ++at) out.push_back(at->second);
  return out;
}

int serve(hf::sys::Loop& loop, const Options& options, Start start) {
  const Result<std::int64_t> port = number(options.get("--port", "0"));
  if (!port || *port < 0 || *port > 65'535) return fail(Error{Code::invalid, "--port is 0 … 65535"});
  net::HttpHandler handler;
  net::ListenerOptions listen;
  listen.name = options.get("--name", "transfer");
  listen.port = static_cast<std::uint16_t>(*port);
  listen.http = [&handler](net::HttpRequest request) -> asio::awaitable<net::HttpResponse> {
    if (!handler) co_return refuse(Error{Code::unavailable, "starting"});
    co_return co_await handler(std::move(request));
  };
  auto listener = net::Listener::start(loop.world(), std::move(listen));
  if (!listener) return fail(listener.error());
  const std::string base_url = fmt::format("http://127.0.0.1:{}", (*listener)->port());
  Result<net::HttpHandler> started = loop.run_until_done(start(base_url));
  if (!started) return fail(started.error());
  handler = std::move(*started);
  if (const std::string ready = options.get("--ready-file"); !ready.empty()) {
    std::ofstream(ready) << options.get("--name", "transfer") << " " << base_url.substr(7) << "\n";
  }
  loop.run();
  return 1;
}

Result<hf::participant::TwoPhaseConfig> link_config(const Options& options, std::string base_url) {
  hf::participant::TwoPhaseConfig config;
  config.name = options.get("--name", "transfer");
  config.base_url = std::move(base_url);
  config.coordinator_url = options.get("--coordinator", "http://127.0.0.1:36789");
  if (const std::string file = options.get("--secret-file"); !file.empty()) {
    std::ifstream in(file);
    if (!std::getline(in, config.secret)) return Error{Code::invalid, "--secret-file: no line can be read of " + file};
  }
  HF_TRY(const std::int64_t ask_after, number(options.get("--ask-after-ms", "5000")));
  config.ask_after = std::chrono::milliseconds(ask_after);
  return config;
}

hf::participant::SendHttp sender(net::HttpClient& client) {
  return [&client](net::HttpRequest request, std::string url, hf::Monotonic deadline) {
    return client.send(std::move(request), std::move(url), deadline);
  };
}

Result<json::object> parse_body(const std::string& body) {
  boost::system::error_code error;
  json::value value = json::parse(body, error);
  if (error || !value.is_object()) return Error{Code::invalid, "the body is not a JSON object"};
  return std::move(value).as_object();
}

Result<std::string> text_field(const json::object& body, const std::string& name) {
  const json::value* value = body.if_contains(name);
  if (!value || !value->is_string() || value->as_string().empty() || value->as_string().size() > kTextMax) {
    return Error{Code::invalid, fmt::format("\"{}\" is a text of 1 to {} bytes", name, kTextMax)};
  }
  return std::string(value->as_string());
}

Result<std::int64_t> amount_field(const json::object& body) {
  const json::value* value = body.if_contains("amount_minor");
  if (!value || !value->is_int64() || value->as_int64() < 1 || value->as_int64() > kAmountMax) {
    return Error{Code::invalid, fmt::format("\"amount_minor\" is an integer from 1 to {}", kAmountMax)};
  }
  return value->as_int64();
}

net::HttpResponse answer(int status, const json::object& body) {
  return net::HttpResponse::json(status, json::serialize(body));
}

net::HttpResponse refuse(const Error& error) {
  const json::object body{{"error", error.message}};
  switch (error.code) {
    case Code::invalid:
      return answer(400, body);
    case Code::denied:
      return answer(403, body);
    case Code::not_found:
      return answer(404, body);
    case Code::conflict:
      return answer(409, body);
    default:
      return answer(503, body);
  }
}

}  // namespace transfer
