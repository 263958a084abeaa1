#include "router/rules_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "router/default_rules.h"

namespace hf::router {
namespace {

using eb::JsonText;
using eb::Problems;
using eb::ShapeReader;
using Node = JsonText::Node;
using Need = ShapeReader::Need;

std::string substitute(std::string text, const RouterConfig& config) {
  const std::pair<std::string_view, const std::string&> words[] = {{"{{notifier_url}}", config.notifier_url},
                                                                   {"{{account_sid}}", config.account_sid},
                                                                   {"{{auth_token}}", config.auth_token},
                                                                   {"{{twilio_number}}", config.twilio_number},
                                                                   {"{{whatsapp_number}}", config.whatsapp_number}};
  for (const auto& [word, value] : words) {
    std::string escaped;  // every place for a word is inside a JSON string
    eb::append_json_escaped(escaped, value);
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += escaped.size())
      text.replace(at, word.size(), escaped);
  }
  return text;
}

/// Edits a copy of the catalogue and collects the rows to write.
class Applier {
 public:
  Applier(const JsonText& file, const Control& control, sys::World world, Catalogue& catalogue)
      : file_(file), control_(control), world_(world), catalogue_(catalogue), now_(world.clock.wall()) {}

  Result<Control::Write> run() {
    if (file_.kind(JsonText::root()) != JsonKind::object)
      return Error{Code::invalid, "the rules file is not a JSON object"};
    for (const char* section : {"roles", "connections", "apiDestinations", "rules"}) {
      const ShapeReader top(file_, JsonText::root(), "", problems_);
      std::size_t number = 0;
      Result<void> verdict = ok();
      if (const Node list = top.list(section)) {
        file_.for_each_child(list, [&](Node child) {
          if (!verdict) return;
          const ShapeReader one = top.element(child, section, ++number);
          verdict = one_of(section, one);
          if (verdict && !problems_.empty()) verdict = Error{Code::invalid, problems_.message()};
          if (!verdict) verdict = verdict.error().with_context(fmt::format("rules file, {} {}", section, number));
        });
      }
      HF_TRY(verdict);
      if (!problems_.empty()) return Error{Code::invalid, "rules file: " + problems_.message()};
    }
    return Control::Write([writes = std::move(writes_)](sql::Transaction& tx) -> Result<void> {
      for (const Control::Write& write : writes) HF_TRY(write(tx));
      return ok();
    });
  }

 private:
  using JsonKind = eb::JsonKind;

  Result<void> one_of(std::string_view section, const ShapeReader& in) {
    if (section == "roles") return role(in);
    if (section == "connections") return connection(in);
    if (section == "apiDestinations") return destination(in);
    return rule(in);
  }

  Result<void> role(const ShapeReader& in) {
    auto out = std::make_shared<Role>();
    out->arn = control_.role_arn(in.text("name", eb::kResourceName, Need::required).value_or(""));
    if (const Node list = in.list("statements", Need::required)) {
      std::size_t number = 0;
      file_.for_each_child(list, [&](Node child) {
        const ShapeReader statement = in.element(child, "statements", ++number);
        out->statements.push_back({statement.texts("Action", eb::kAnyText, Need::required),
                                   statement.texts("Resource", eb::kAnyText, Need::required)});
      });
    }
    catalogue_.roles[out->arn] = out;
    writes_.push_back([out](sql::Transaction& tx) { return Store::put_role(tx, *out); });
    return ok();
  }

  Result<void> connection(const ShapeReader& in) {
    auto out = std::make_shared<eb::Connection>();
    out->name = in.text("Name", eb::kResourceName, Need::required).value_or("");
    const auto old = catalogue_.connections.find(out->name);
    if (old != catalogue_.connections.end()) *out = *old->second;
    if (out->arn.empty()) {
      out->arn = control_.connection_arn_prefix(out->name) + world_.random.uuid();
      out->created = now_;
    }
    out->description = in.text("Description", eb::kDescription).value_or("");
    out->authorization_type = in.word("AuthorizationType", {"BASIC", "API_KEY"}, Need::required).value_or("");
    out->has_http_parameters = false;
    out->headers.clear(), out->query.clear(), out->body.clear();
    out->modified = out->authorized = now_;
    const Node parameters = in.object("AuthParameters", Need::required);
    if (!parameters || !problems_.empty()) return ok();
    eb::parse_auth_parameters(in.below(parameters, "AuthParameters"), *out, Need::required);
    catalogue_.connections[out->name] = out;
    writes_.push_back([out](sql::Transaction& tx) { return Store::put_connection(tx, *out); });
    return ok();
  }

  Result<void> destination(const ShapeReader& in) {
    auto out = std::make_shared<eb::ApiDestination>();
    out->name = in.text("Name", eb::kResourceName, Need::required).value_or("");
    const auto old = catalogue_.destinations.find(out->name);
    if (old != catalogue_.destinations.end()) *out = *old->second;
    if (out->arn.empty()) {
      out->arn = control_.destination_arn_prefix(out->name) + world_.random.uuid();
      out->created = now_;
    }
    const std::string connection = in.text("Connection", eb::kResourceName, Need::required).value_or("");
    const auto found = catalogue_.connections.find(connection);
    if (found == catalogue_.connections.end()) return no_such_connection(connection);
    out->connection_arn = found->second->arn;
    out->description = in.text("Description", eb::kDescription).value_or("");
    out->endpoint = in.text("InvocationEndpoint", eb::kAnyText, Need::required).value_or("");
    out->method = in.word("HttpMethod", {"POST", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}, Need::required)
                      .value_or("");
    out->rate_per_second = in.integer("InvocationRateLimitPerSecond", 1, INT32_MAX).value_or(300);
    out->modified = now_;
    HF_TRY(eb::check_endpoint(out->endpoint));
    catalogue_.destinations[out->name] = out;
    writes_.push_back([out](sql::Transaction& tx) { return Store::put_destination(tx, *out); });
    return ok();
  }

  Result<void> rule(const ShapeReader& in) {
    auto out = std::make_shared<Rule>();
    const std::string name = in.text("Name", eb::kRuleName, Need::required).value_or("");
    const auto old = catalogue_.rules.find(name);
    if (old != catalogue_.rules.end()) *out = *old->second;
    out->name = name;
    out->arn = control_.rule_arn(name);
    out->description = in.text("Description", eb::kDescription).value_or("");
    if (const auto state = in.word("State", {"ENABLED", "DISABLED"})) out->enabled = *state == "ENABLED";
    if (const Node pattern = in.object("EventPattern", Need::required)) {
      out->pattern_text = std::string(file_.raw(pattern));
      HF_TRY(out->pattern, eb::EventPattern::compile(out->pattern_text));
    }
    HF_TRY(targets(in, *out));
    catalogue_.rules[name] = out;
    writes_.push_back([out](sql::Transaction& tx) -> Result<void> {
      HF_TRY(Store::put_rule(tx, *out));
      for (std::size_t i = 0; i < out->targets.size(); ++i)
        HF_TRY(Store::put_target(tx, out->name, out->targets[i], i));
      return ok();
    });
    return ok();
  }

  Result<void> targets(const ShapeReader& in, Rule& rule) {
    const Node list = in.list("Targets");
    if (!list) return ok();
    Result<void> verdict = ok();
    std::size_t number = 0;
    file_.for_each_child(list, [&](Node child) {
      ++number;
      if (verdict) verdict = target(in.element(child, "Targets", number), rule);
    });
    if (rule.targets.size() > Catalogue::kTargetsPerRule) return Error{Code::invalid, "a rule has at most 5 targets"};
    return verdict;
  }

  /// Names become ARNs in the target's own text, so that ListTargetsByRule shows a target like any other.
  Result<void> target(const ShapeReader& in, Rule& rule) {
    const std::string destination = in.text("ApiDestination", eb::kResourceName, Need::required).value_or("");
    const std::string role = in.text("Role", eb::kResourceName, Need::required).value_or("");
    const auto found = catalogue_.destinations.find(destination);
    if (found == catalogue_.destinations.end()) return no_such_destination(destination);
    std::string text = "{";
    file_.for_each_child(in.node(), [&](Node child) {
      if (file_.key(child) == "ApiDestination" || file_.key(child) == "Role") return;
      text += eb::json_string(file_.key(child)) + ':' + std::string(file_.raw(child)) + ',';
    });
    text += "\"Arn\":" + eb::json_string(found->second->arn) +
            ",\"RoleArn\":" + eb::json_string(control_.role_arn(role)) + '}';
    HF_TRY(const JsonText json, JsonText::parse(text));
    Problems problems;
    eb::Target parsed = eb::parse_target({json, JsonText::root(), in.path_of(""), problems});
    if (!problems.empty()) return Error{Code::invalid, problems.message()};
    const auto same = std::ranges::find(rule.targets, parsed.id, &eb::Target::id);
    if (same != rule.targets.end()) {
      *same = std::move(parsed);
    } else {
      rule.targets.push_back(std::move(parsed));
    }
    return ok();
  }

  const JsonText& file_;
  const Control& control_;
  sys::World world_;
  Catalogue& catalogue_;
  const WallTime now_;
  Problems problems_;
  std::vector<Control::Write> writes_;
};

}  // namespace

std::string_view default_rules() { return kDefaultRules; }

Task<> apply_rules_file(Control& control, const RouterConfig& config, sys::World world, std::string text) {
  Result<JsonText> file = JsonText::parse(substitute(std::move(text), config));
  if (!file) co_return file.error().with_context("rules file");
  auto shared = std::make_shared<const JsonText>(std::move(*file));
  std::function<Result<Control::Write>(Catalogue&)> change = [shared, &control, world](Catalogue& catalogue) {
    return Applier(*shared, control, world, catalogue).run();
  };
  HF_CO_TRY(co_await control.apply(std::move(change)));
  const CataloguePtr now = control.catalogue();
  log::info("router.rules_applied", {{"rules", now->rules.size()}, {"destinations", now->destinations.size()}});
  co_return ok();
}

}  // namespace hf::router
