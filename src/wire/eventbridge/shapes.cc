#include "wire/eventbridge/shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace hf::wire::eventbridge {
namespace {

using Node = JsonText::Node;
using Need = ShapeReader::Need;

bool alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool name_characters(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return alphanumeric(c) || c == '.' || c == '-' || c == '_'; });
}
bool bus_characters(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return alphanumeric(c) || std::string_view("/.-_:").find(c) != std::string_view::npos; });
}
bool visible(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; }
bool visible_text(std::string_view text) { return std::ranges::all_of(text, visible); }
/// User names, passwords, keys: they end up in a header, and a colon ends the user name of BASIC.
bool auth_text(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return visible(c) && c != ':'; });
}
bool header_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

const TextRule kAuthText{1, 512, auth_text, R"([ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*)"};
const TextRule kHeaderValue{0, 512, visible_text, R"([ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*)"};

std::string lower_camel(std::string_view name) {
  std::string out(name);
  if (!out.empty() && out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out;
}

}  // namespace

const TextRule kAnyText{};
const TextRule kRuleName{1, 64, name_characters, R"([\.\-_A-Za-z0-9]+)"};
const TextRule kResourceName{1, 64, name_characters, R"([\.\-_A-Za-z0-9]+)"};
const TextRule kBusName{1, 1'600, bus_characters,
                        R"((arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[/\.\-_A-Za-z0-9]+)"};
const TextRule kTargetId{1, 64, name_characters, R"([\.\-_A-Za-z0-9]+)"};
const TextRule kArn{1, 1'600, visible_text, ".*"};
const TextRule kDescription{0, 512, nullptr, ""};
const TextRule kNextToken{1, 2'048, nullptr, ""};

void Problems::constraint(std::string_view value, std::string_view path, std::string_view constraint) {
  violations_.push_back(fmt::format("Value '{}' at '{}' failed to satisfy constraint: {}", value, path, constraint));
}
void Problems::missing(std::string_view path) {
  violations_.push_back(fmt::format("Value null at '{}' failed to satisfy constraint: Member must not be null", path));
}
void Problems::wrong_type(std::string_view path, std::string_view expected) {
  if (type_error_.empty()) type_error_ = fmt::format("{} must be {}", path, expected);
}
void Problems::semantic(std::string text) {
  if (semantic_.empty()) semantic_ = std::move(text);
}
std::string Problems::message() const {
  if (!type_error_.empty()) return type_error_;
  if (violations_.empty()) return semantic_;
  std::string out =
      fmt::format("{} validation error{} detected: ", violations_.size(), violations_.size() == 1 ? "" : "s");
  for (std::size_t i = 0; i < violations_.size(); ++i) out += (i == 0 ? "" : "; ") + violations_[i];
  return out;
}

std::string ShapeReader::path_of(std::string_view name) const { return path_ + lower_camel(name); }

Node ShapeReader::member(std::string_view name) const {
  const Node found = json_.find(node_, name);
  return found && json_.kind(found) == JsonKind::null ? 0 : found;
}
bool ShapeReader::require(std::string_view name, Node found, Need need) const {
  if (!found && need == Need::required) problems_.missing(path_of(name));
  return found != 0;
}

std::optional<std::string> ShapeReader::text(std::string_view name, const TextRule& rule, Need need) const {
  const Node found = member(name);
  if (!require(name, found, need)) return std::nullopt;
  if (json_.kind(found) != JsonKind::string) return problems_.wrong_type(path_of(name), "a string"), std::nullopt;
  std::string out(json_.content(found));
  if (rule.pattern && !rule.pattern(out)) {
    problems_.constraint(out, path_of(name),
                         fmt::format("Member must satisfy regular expression pattern: {}", rule.pattern_text));
  }
  if (out.size() > rule.max) {
    problems_.constraint(out, path_of(name), fmt::format("Member must have length less than or equal to {}", rule.max));
  }
  if (out.size() < rule.min) {
    problems_.constraint(out, path_of(name),
                         fmt::format("Member must have length greater than or equal to {}", rule.min));
  }
  return out;
}

std::optional<std::string> ShapeReader::word(std::string_view name, std::vector<std::string_view> allowed,
                                             Need need) const {
  std::optional<std::string> out = text(name, kAnyText, need);
  if (out && std::ranges::find(allowed, *out) == allowed.end()) {
    problems_.constraint(*out, path_of(name),
                         fmt::format("Member must satisfy enum value set: [{}]", fmt::join(allowed, ", ")));
  }
  return out;
}

std::optional<std::int64_t> ShapeReader::integer(std::string_view name, std::int64_t min, std::int64_t max) const {
  const Node found = member(name);
  if (!found) return std::nullopt;
  std::int64_t out = 0;
  const std::string_view spelling = json_.content(found);
  const auto [end, error] = std::from_chars(spelling.data(), spelling.data() + spelling.size(), out);
  if (json_.kind(found) != JsonKind::number || error != std::errc{} || end != spelling.data() + spelling.size()) {
    return problems_.wrong_type(path_of(name), "an integer"), std::nullopt;
  }
  if (out > max) {
    problems_.constraint(spelling, path_of(name), fmt::format("Member must have value less than or equal to {}", max));
  }
  if (out < min) {
    problems_.constraint(spelling, path_of(name),
                         fmt::format("Member must have value greater than or equal to {}", min));
  }
  return out;
}

std::optional<bool> ShapeReader::boolean(std::string_view name) const {
  const Node found = member(name);
  if (!found) return std::nullopt;
  const JsonKind kind = json_.kind(found);
  if (kind != JsonKind::true_ && kind != JsonKind::false_)
    return problems_.wrong_type(path_of(name), "true or false"), std::nullopt;
  return kind == JsonKind::true_;
}

std::optional<WallTime> ShapeReader::time(std::string_view name) const {
  const Node found = member(name);
  if (!found) return std::nullopt;
  double seconds = 0;
  const std::string_view spelling = json_.content(found);
  const auto parsed = std::from_chars(spelling.data(), spelling.data() + spelling.size(), seconds);
  // Year 9999: what RFC 3339 can say.
  if (json_.kind(found) != JsonKind::number || parsed.ec != std::errc{} ||
      !(seconds >= 0 && seconds < 253402300800.0)) {
    return problems_.wrong_type(path_of(name), "a number of seconds since the epoch"), std::nullopt;
  }
  return wall_from_us(static_cast<std::int64_t>(std::llround(seconds * 1e6)));
}

Node ShapeReader::object(std::string_view name, Need need) const {
  const Node found = member(name);
  if (!require(name, found, need)) return 0;
  if (json_.kind(found) != JsonKind::object) return problems_.wrong_type(path_of(name), "an object"), 0;
  return found;
}
Node ShapeReader::list(std::string_view name, Need need) const {
  const Node found = member(name);
  if (!require(name, found, need)) return 0;
  if (json_.kind(found) != JsonKind::array) return problems_.wrong_type(path_of(name), "a list"), 0;
  return found;
}

std::vector<std::string> ShapeReader::texts(std::string_view name, const TextRule& rule, Need need) const {
  std::vector<std::string> out;
  const Node found = list(name, need);
  if (!found) return out;
  json_.for_each_child(found, [&](Node child) {
    const std::string path = fmt::format("{}.{}.member", path_of(name), out.size() + 1);
    if (json_.kind(child) != JsonKind::string) return problems_.wrong_type(path, "a string");
    std::string& one = out.emplace_back(json_.content(child));
    if (rule.pattern && !rule.pattern(one)) {
      problems_.constraint(one, path,
                           fmt::format("Member must satisfy regular expression pattern: {}", rule.pattern_text));
    }
    if (one.size() > rule.max || one.size() < rule.min) {
      problems_.constraint(one, path, fmt::format("Member must have length from {} to {}", rule.min, rule.max));
    }
  });
  return out;
}

TextPairs ShapeReader::pairs(std::string_view name) const {
  TextPairs out;
  const Node found = object(name);
  if (!found) return out;
  json_.for_each_child(found, [&](Node child) {
    if (json_.kind(child) != JsonKind::string) return problems_.wrong_type(path_of(name), "an object of strings");
    out.emplace_back(json_.key(child), json_.content(child));
  });
  return out;
}

ShapeReader ShapeReader::below(Node node, std::string_view name) const {
  return {json_, node, path_of(name) + ".", problems_};
}
ShapeReader ShapeReader::element(Node node, std::string_view list, std::size_t number) const {
  return {json_, node, fmt::format("{}.{}.member.", path_of(list), number), problems_};
}

namespace {

void check_header_pairs(const TextPairs& headers, const std::string& path, Problems& problems) {
  for (const auto& [name, value] : headers) {
    if (!header_name(name) || name.size() > 512) {
      problems.constraint(name, path, "Member must satisfy regular expression pattern: ^[!#$%&'*+-.^_`|~0-9a-zA-Z]+$");
    }
    if (!visible_text(value) || value.size() > 512)
      problems.constraint(value, path, "Member must be at most 512 printable characters");
  }
}

TargetInput parse_input(const ShapeReader& in, const std::string& id) {
  const std::optional<std::string> constant = in.text("Input", {0, 8'192});
  const std::optional<std::string> path = in.text("InputPath", {0, 256});
  const Node transformer = in.object("InputTransformer");
  if ((constant ? 1 : 0) + (path ? 1 : 0) + (transformer ? 1 : 0) > 1) {
    in.problems().semantic(
        fmt::format("Only one of Input, InputPath, or InputTransformer must be provided for target {}.", id));
    return TargetInput::whole_event();
  }
  if (constant) {
    if (!JsonText::parse(*constant))
      in.problems().semantic(fmt::format("JSON syntax error in input for target {}.", id));
    return TargetInput::constant(*constant);
  }
  if (path) {
    Result<JsonPath> parsed = JsonPath::parse(*path);
    if (parsed) return TargetInput::part(std::move(*parsed));
    in.problems().semantic(fmt::format("Invalid InputPath for target {}.", id));
    return TargetInput::whole_event();
  }
  if (!transformer) return TargetInput::whole_event();
  const ShapeReader shape = in.below(transformer, "InputTransformer");
  const TextPairs paths = shape.pairs("InputPathsMap");
  const std::optional<std::string> text =
      shape.text("InputTemplate", {1, InputTransformer::kTemplateMax}, Need::required);
  if (!text) return TargetInput::whole_event();
  Result<InputTransformer> compiled = InputTransformer::compile({paths.begin(), paths.end()}, *text, id);
  if (compiled) return TargetInput::transformed(std::move(*compiled));
  in.problems().semantic(compiled.error().message);
  return TargetInput::whole_event();
}

void parse_http_parameters(const ShapeReader& in, Target& out) {
  const Node http = in.object("HttpParameters");
  if (!http) return;
  const ShapeReader shape = in.below(http, "HttpParameters");
  out.path_values = shape.texts("PathParameterValues", {1, 2'048});
  out.headers = shape.pairs("HeaderParameters");
  out.query = shape.pairs("QueryStringParameters");
  check_header_pairs(out.headers, shape.path_of("HeaderParameters"), in.problems());
}

ConnectionParameters parse_parameters(const ShapeReader& in, std::string_view name, bool headers) {
  ConnectionParameters out;
  const Node list = in.list(name);
  if (!list) return out;
  in.json().for_each_child(list, [&](Node child) {
    const ShapeReader one = in.element(child, name, out.size() + 1);
    ConnectionParameter& parameter = out.emplace_back();
    parameter.key =
        one.text("Key", headers ? TextRule{1, 512, header_name, "^[!#$%&'*+-.^_`|~0-9a-zA-Z]+$"} : TextRule{1, 512})
            .value_or("");
    parameter.value = one.text("Value", headers ? kHeaderValue : TextRule{0, 512}).value_or("");
    parameter.secret = one.boolean("IsValueSecret").value_or(false);
  });
  if (out.size() > 100)
    in.problems().constraint("list", in.path_of(name), "Member must have length less than or equal to 100");
  return out;
}

void append_parameters(std::string& out, std::string_view name, const ConnectionParameters& parameters,
                       Secrets secrets) {
  if (parameters.empty()) return;
  if (out.back() != '{') out += ',';
  append_json_string(out, name);
  out += ":[";
  for (const ConnectionParameter& one : parameters) {
    if (out.back() != '[') out += ',';
    out += "{\"Key\":" + json_string(one.key);
    if (!one.secret || secrets == Secrets::shown) out += ",\"Value\":" + json_string(one.value);
    out += one.secret ? ",\"IsValueSecret\":true}" : ",\"IsValueSecret\":false}";
  }
  out += ']';
}

}  // namespace

Target parse_target(const ShapeReader& in) {
  Target out;
  out.json = std::string(in.json().raw(in.node()));
  out.id = in.text("Id", kTargetId, Need::required).value_or("");
  out.arn = in.text("Arn", kArn, Need::required).value_or("");
  out.role_arn = in.text("RoleArn", kArn).value_or("");
  out.input = parse_input(in, out.id);
  parse_http_parameters(in, out);
  if (const Node retry = in.object("RetryPolicy")) {
    const ShapeReader shape = in.below(retry, "RetryPolicy");
    out.retry.retries = shape.integer("MaximumRetryAttempts", 0, 185).value_or(185);
    out.retry.age = std::chrono::seconds(shape.integer("MaximumEventAgeInSeconds", 60, 86'400).value_or(86'400));
  }
  if (const Node dead = in.object("DeadLetterConfig")) (void)in.below(dead, "DeadLetterConfig").text("Arn", kArn);
  if (!out.arn.empty() && !out.arn.starts_with("arn:")) {
    in.problems().semantic("Parameter " + out.arn + " is not valid. Reason: Provided Arn is not in correct format.");
  }
  return out;
}

void parse_auth_parameters(const ShapeReader& in, Connection& into, Need need) {
  const bool basic = into.authorization_type == "BASIC";
  const std::string_view block = basic ? "BasicAuthParameters" : "ApiKeyAuthParameters";
  const auto take = [&](const ShapeReader& from, std::string_view name, std::string& field) {
    if (std::optional<std::string> value = from.text(name, kAuthText, need)) field = std::move(*value);
  };
  if (const Node node = in.object(block)) {
    const ShapeReader shape = in.below(node, block);
    take(shape, basic ? "Username" : "ApiKeyName", basic ? into.username : into.api_key_name);
    take(shape, basic ? "Password" : "ApiKeyValue", basic ? into.password : into.api_key_value);
  } else if (need == Need::required) {
    in.problems().semantic(fmt::format("Parameter AuthParameters is not valid. Reason: {} must be given for {}.", block,
                                       into.authorization_type));
  }
  if (in.has(basic ? "ApiKeyAuthParameters" : "BasicAuthParameters") || in.has("OAuthParameters")) {
    in.problems().semantic(fmt::format("Parameter AuthParameters is not valid. Reason: only {} belongs to {}.", block,
                                       into.authorization_type));
  }
  if (in.has("ConnectivityParameters")) in.problems().semantic("Private connectivity is not supported yet.");
  if (const Node node = in.object("InvocationHttpParameters")) {
    const ShapeReader shape = in.below(node, "InvocationHttpParameters");
    into.has_http_parameters = true;
    into.headers = parse_parameters(shape, "HeaderParameters", true);
    into.query = parse_parameters(shape, "QueryStringParameters", false);
    into.body = parse_parameters(shape, "BodyParameters", false);
  }
}

std::string auth_parameters_json(const Connection& connection, Secrets secrets) {
  const bool shown = secrets == Secrets::shown;
  std::string out = "{";
  if (connection.authorization_type == "BASIC") {
    out += "\"BasicAuthParameters\":{\"Username\":" + json_string(connection.username);
    if (shown) out += ",\"Password\":" + json_string(connection.password);
  } else {
    out += "\"ApiKeyAuthParameters\":{\"ApiKeyName\":" + json_string(connection.api_key_name);
    if (shown) out += ",\"ApiKeyValue\":" + json_string(connection.api_key_value);
  }
  out += '}';
  if (connection.has_http_parameters) {
    out += ",\"InvocationHttpParameters\":{";
    append_parameters(out, "HeaderParameters", connection.headers, secrets);
    append_parameters(out, "QueryStringParameters", connection.query, secrets);
    append_parameters(out, "BodyParameters", connection.body, secrets);
    out += '}';
  }
  return out + '}';
}

Result<void> check_endpoint(std::string_view endpoint) {
  const auto wrong = [](std::string why) {
    return Error{Code::invalid, "Parameter InvocationEndpoint is not valid. Reason: " + std::move(why)};
  };
  const auto allowed = [](char c) {
    return alphanumeric(c) || std::string_view("-()_.!~*';/?:@&=+$,%{}[]").find(c) != std::string_view::npos;
  };
  if (endpoint.empty() || endpoint.size() > 2'048 || !std::ranges::all_of(endpoint, allowed))
    return wrong("it is not a URL.");
  const bool https = endpoint.starts_with("https://");
  if (!https && !endpoint.starts_with("http://")) return wrong("it must begin with https://.");
  std::string_view host = endpoint.substr(https ? 8 : 7);
  host = host.substr(0, host.find_first_of("/?"));
  if (host.find('@') != std::string_view::npos) return wrong("credentials belong into the connection.");
  if (host.empty() || host.find_first_of("*{}") != std::string_view::npos) return wrong("the host must be fixed.");
  host = host.starts_with('[') ? host.substr(0, host.find(']') + 1) : host.substr(0, host.find(':'));
  const bool numeric = host.find_first_not_of("0123456789.") == std::string_view::npos;  // 127.example.com is a name
  const bool loopback = host == "localhost" || host == "[::1]" || (numeric && host.starts_with("127."));
  if (!https && !loopback) return wrong("plain http is for loopback addresses only.");
  return ok();
}

}  // namespace hf::wire::eventbridge
