#include "wire/eventbridge/pattern.h"

#include "wire/eventbridge/rule_index.h"

namespace hf::wire::eventbridge {
namespace {

bool matches(std::string_view pattern, std::string_view event) {
  const auto compiled = EventPattern::compile(pattern);
  EXPECT_TRUE(compiled) << pattern << ": " << (compiled ? "" : compiled.error().message);
  const auto json = JsonText::parse(event);
  EXPECT_TRUE(json) << event;
  return compiled && json && !RuleIndex({&*compiled}).match(*json).empty();
}

struct Case {
  const char* what;
  const char* pattern;
  const char* event;
  bool want;
};

constexpr Case kCases[] = {
    // the pattern of the order pipeline (A30)
    {"order.confirmed", R"({"source":["ecommerce.orders"],"detail-type":["order.confirmed"]})",
     R"({"source":"ecommerce.orders","detail-type":"order.confirmed","detail":{}})", true},
    {"other source", R"({"source":["ecommerce.orders"],"detail-type":["order.confirmed"]})",
     R"({"source":"ecommerce.stock","detail-type":"order.confirmed","detail":{}})", false},
    {"other type", R"({"source":["ecommerce.orders"],"detail-type":["order.confirmed"]})",
     R"({"source":"ecommerce.orders","detail-type":"order.refused","detail":{}})", false},
    // plain values
    {"alternatives", R"({"a":["x","y"]})", R"({"a":"y"})", true},
    {"case counts", R"({"a":["X"]})", R"({"a":"x"})", false},
    {"escape decoded", R"({"a":["\u0041"]})", R"({"a":"A"})", true},
    {"number and text differ", R"({"a":[5]})", R"({"a":"5"})", false},
    {"text and number differ", R"({"a":["300"]})", R"({"a":300})", false},
    {"true and \"true\" differ", R"({"a":[true]})", R"({"a":"true"})", false},
    {"300 is 300.0", R"({"a":[300]})", R"({"a":300.0})", true},
    {"300 is 3e2", R"({"a":[300]})", R"({"a":3e2})", true},
    {"inexact numbers by spelling", R"({"a":[9007199254740993]})", R"({"a":9007199254740993})", true},
    {"inexact numbers do not round", R"({"a":[9007199254740992]})", R"({"a":9007199254740993})", false},
    {"null is present null", R"({"a":[null]})", R"({"a":null})", true},
    {"null is not absent", R"({"a":[null]})", R"({})", false},
    {"null is not empty", R"({"a":[null]})", R"({"a":""})", false},
    {"empty text", R"({"a":[""]})", R"({"a":""})", true},
    {"true", R"({"a":[true]})", R"({"a":true})", true},
    {"exactly", R"({"a":[{"exactly":"x"}]})", R"({"a":"x"})", true},
    {"all members", R"({"a":["x"],"b":["y"]})", R"({"a":"x","b":"z"})", false},
    {"objects never equal", R"({"a":["x"]})", R"({"a":{"b":"x"}})", false},
    // lists of the event
    {"one element is enough", R"({"a":["x"]})", R"({"a":["w","x"]})", true},
    {"nested lists are flattened", R"({"a":["x"]})", R"({"a":[["w"],[["x"]]]})", true},
    {"channel list (A39)", R"({"detail":{"channel":["voice"]}})",
     R"({"detail":{"channel":["sms","voice","whatsapp"]}})", true},
    // prefix, suffix
    {"prefix", R"({"a":[{"prefix":"ab"}]})", R"({"a":"abc"})", true},
    {"no prefix", R"({"a":[{"prefix":"b"}]})", R"({"a":"abc"})", false},
    {"empty prefix matches text", R"({"a":[{"prefix":""}]})", R"({"a":""})", true},
    {"empty prefix, number", R"({"a":[{"prefix":""}]})", R"({"a":5})", false},
    {"suffix", R"({"a":[{"suffix":".png"}]})", R"({"a":"x.png"})", true},
    {"suffix of null", R"({"a":[{"suffix":""}]})", R"({"a":null})", false},
    // anything-but
    {"anything-but other", R"({"a":[{"anything-but":"x"}]})", R"({"a":"y"})", true},
    {"anything-but same", R"({"a":[{"anything-but":"x"}]})", R"({"a":"x"})", false},
    {"anything-but absent", R"({"a":[{"anything-but":"x"}]})", R"({})", false},
    {"anything-but null passes", R"({"a":[{"anything-but":"x"}]})", R"({"a":null})", true},
    {"anything-but list", R"({"a":[{"anything-but":["x","y"]}]})", R"({"a":"y"})", false},
    {"anything-but number by value", R"({"a":[{"anything-but":100}]})", R"({"a":1e2})", false},
    {"anything-but number lets text pass", R"({"a":[{"anything-but":100}]})", R"({"a":"100"})", true},
    {"anything-but, one element differs", R"({"a":[{"anything-but":"x"}]})", R"({"a":["x","y"]})", true},
    {"anything-but, object is absent", R"({"a":[{"anything-but":"x"}]})", R"({"a":{}})", false},
    // numeric
    {"numeric =", R"({"a":[{"numeric":["=",5]}]})", R"({"a":5.0})", true},
    {"numeric <", R"({"a":[{"numeric":["<",5]}]})", R"({"a":5})", false},
    {"numeric <=", R"({"a":[{"numeric":["<=",5]}]})", R"({"a":5})", true},
    {"numeric >", R"({"a":[{"numeric":[">",5]}]})", R"({"a":5.1})", true},
    {"numeric range", R"({"a":[{"numeric":[">",0,"<=",10]}]})", R"({"a":10})", true},
    {"numeric range below", R"({"a":[{"numeric":[">",0,"<=",10]}]})", R"({"a":0})", false},
    {"numeric text", R"({"a":[{"numeric":[">",0]}]})", R"({"a":"5"})", false},
    // exists
    {"exists", R"({"a":[{"exists":true}]})", R"({"a":null})", true},
    {"exists, object", R"({"a":[{"exists":true}]})", R"({"a":{"b":1}})", false},
    {"exists, empty list", R"({"a":[{"exists":true}]})", R"({"a":[]})", false},
    {"exists false, absent", R"({"a":[{"exists":false}]})", R"({"b":1})", true},
    {"exists false, object", R"({"a":[{"exists":false}]})", R"({"a":{"b":1}})", true},
    {"exists false, null", R"({"a":[{"exists":false}]})", R"({"a":null})", false},
    {"absent or a value", R"({"a":[{"exists":false},"x"]})", R"({"a":"x"})", true},
    {"absent or a value, other value", R"({"a":[{"exists":false},"x"]})", R"({"a":"y"})", false},
    // paths
    {"dotted pattern", R"({"a.b":["x"]})", R"({"a":{"b":"x"}})", true},
    {"dotted event", R"({"a":{"b":["x"]}})", R"({"a.b":"x"})", true},
    {"last duplicate of the pattern", R"({"a":["x"],"a":["y"]})", R"({"a":"x"})", false},
    {"last duplicate of the event", R"({"a":["x"]})", R"({"a":"x","a":"y"})", false},
    // array consistency
    {"one element holds both", R"({"i":{"sku":["a"],"n":[1]}})", R"({"i":[{"sku":"a","n":1},{"sku":"b","n":2}]})",
     true},
    {"two elements do not", R"({"i":{"sku":["a"],"n":[2]}})", R"({"i":[{"sku":"a","n":1},{"sku":"b","n":2}]})", false},
    {"different lists are independent", R"({"i":{"x":[1]},"j":{"y":[2]}})",
     R"({"i":[{"x":0},{"x":1}],"j":[{"y":2},{"y":3}]})", true},
    {"two levels", R"({"i":{"k":{"p":[1],"q":[2]},"z":[9]}})",
     R"({"i":[{"z":9,"k":[{"p":1,"q":3},{"p":0,"q":2}]},{"z":8,"k":[{"p":1,"q":2}]}]})", false},
    {"two levels hold", R"({"i":{"k":{"p":[1],"q":[2]},"z":[9]}})",
     R"({"i":[{"z":9,"k":[{"p":1,"q":3},{"p":0,"q":2}]},{"z":9,"k":[{"p":1,"q":2}]}]})", true},
    // $or
    {"$or first", R"({"$or":[{"a":["x"]},{"b":["y"]}]})", R"({"a":"x"})", true},
    {"$or second", R"({"$or":[{"a":["x"]},{"b":["y"]}]})", R"({"b":"y"})", true},
    {"$or none", R"({"$or":[{"a":["x"]},{"b":["y"]}]})", R"({"b":"x"})", false},
    {"$or with sibling", R"({"c":[1],"$or":[{"a":["x"]},{"b":["y"]}]})", R"({"c":2,"a":"x"})", false},
    {"$or nested", R"({"d":{"$or":[{"a":["x"]},{"$or":[{"b":[1]},{"b":[2]}]}]}})", R"({"d":{"b":2}})", true},
    {"branch overwrites outer", R"({"a":["x"],"$or":[{"a":["y"]},{"b":[1]}]})", R"({"a":"y"})", true},
    {"outer overwrites branch", R"({"$or":[{"a":["y"]},{"b":[1]}],"a":["x"]})", R"({"a":"y"})", false},
};

TEST(EventPattern, Matches) {
  for (const Case& c : kCases) EXPECT_EQ(matches(c.pattern, c.event), c.want) << c.what;
}

struct Refusal {
  const char* pattern;
  const char* why;
};
constexpr Refusal kRefusals[] = {
    {R"([])", "Filter is not an object"},
    {R"("x")", "Filter is not an object"},
    {R"({})", "Empty objects are not allowed"},
    {R"({"a":{}})", "Empty objects are not allowed"},
    {R"({"a":[]})", "Empty arrays are not allowed"},
    {R"({"a":"x"})", "\"a\" must be an object or an array"},
    {R"({"a":[["x"]]})", "Match value must be String, number, true, false, or null"},
    {R"({"a":[{}]})", "Match expression name not found"},
    {R"({"a":[{"near":"x"}]})", "Unrecognized match type near"},
    {R"({"a":[{"prefix":"x","suffix":"y"}]})", "Only one key allowed in match expression"},
    {R"({"a":[{"prefix":5}]})", "prefix match pattern must be a string"},
    {R"({"a":[{"suffix":null}]})", "suffix match pattern must be a string"},
    {R"({"a":[{"exactly":5}]})", "exact match pattern must be a string"},
    {R"({"a":[{"prefix":{"x":"y"}}]})", "Unsupported prefix pattern: x"},
    {R"({"a":[{"prefix":{"equals-ignore-case":"y"}}]})", "Match type prefix/equals-ignore-case is not supported yet"},
    {R"({"a":[{"wildcard":"*"}]})", "Match type wildcard is not supported yet"},
    {R"({"a":[{"cidr":"10.0.0.0/8"}]})", "Match type cidr is not supported yet"},
    {R"({"a":[{"equals-ignore-case":"x"}]})", "Match type equals-ignore-case is not supported yet"},
    {R"({"a":[{"anything-but":{"prefix":"x"}}]})", "Match type anything-but/prefix is not supported yet"},
    {R"({"a":[{"anything-but":{"x":"x"}}]})", "Unsupported anything-but pattern: x"},
    {R"({"a":[{"anything-but":{}}]})", "Anything-But expression name not found"},
    {R"({"a":[{"anything-but":null}]})", "Value of anything-but must be an array or single string/number value."},
    {R"({"a":[{"anything-but":[true]}]})", "Inside anything but list, start|null|boolean is not supported."},
    {R"({"a":[{"anything-but":["x",1]}]})",
     "Inside anything but list, either all values are number or string, mixed type is not supported"},
    {R"({"a":[{"anything-but":[]}]})",
     "Inside anything but list, either all values are number or string, mixed type is not supported"},
    {R"({"a":[{"numeric":5}]})", "Value of numeric must be an array."},
    {R"({"a":[{"numeric":[5]}]})", "Invalid member in numeric match: 5"},
    {R"({"a":[{"numeric":["~",5]}]})", "Unrecognized numeric range operator: ~"},
    {R"({"a":[{"numeric":["=","5"]}]})", "Value of equals must be numeric"},
    {R"({"a":[{"numeric":["<"]}]})", "Value of < must be numeric"},
    {R"({"a":[{"numeric":["<",5,">",1]}]})", "Too many terms in numeric range expression"},
    {R"({"a":[{"numeric":[">",5,">",9]}]})", "Bad numeric range operator: \">\""},
    {R"({"a":[{"numeric":[">=",5,"<=",5]}]})", "Bottom must be less than top"},
    {R"({"a":[{"exists":"true"}]})", "exists match pattern must be either true or false."},
    {R"({"$or":{"a":[1]}})", "It must be an Array followed with $or."},
    {R"({"$or":[{"a":[1]}]})", "There must have at least 2 Objects in $or relationship."},
    {R"({"$or":[{"a":[1]},5]})", "Only JSON object is allowed in array of $or relationship."},
    {R"({"$or":[{"a":[1]},{"prefix":["x"]}]})", "prefix is Ruler reserved fieldName which cannot be used inside $or."},
    {R"({"a":[{"$or":[{"b":[1]},{"c":[1]}]}]})", "Unrecognized match type $or"},
};

TEST(EventPattern, Refuses) {
  for (const Refusal& r : kRefusals) {
    const auto compiled = EventPattern::compile(r.pattern);
    ASSERT_FALSE(compiled) << r.pattern;
    EXPECT_EQ(compiled.error().message, r.why) << r.pattern;
    EXPECT_EQ(compiled.error().code, Code::invalid);
  }
  EXPECT_FALSE(EventPattern::compile("{\"a\":[\"" + std::string(EventPattern::kTextMax, 'x') + "\"]}"));
  EXPECT_FALSE(EventPattern::compile("not json"));
}

TEST(EventPattern, MultipliesOrOutUpToTheLimit) {
  std::string branches;
  for (int i = 0; i < 10; ++i) branches += (i ? "," : "") + std::string("{\"f\":[") + std::to_string(i) + "]}";
  const auto nest = [&](int levels) {
    std::string text = "{";
    for (int i = 0; i < levels; ++i)
      text += (i ? "," : "") + std::string("\"l") + std::to_string(i) + "\":{\"$or\":[" + branches + "]}";
    return text + "}";
  };
  EXPECT_EQ(EventPattern::compile(nest(3)).value().conjunctions().size(), 1'000u);
  EXPECT_FALSE(EventPattern::compile(nest(4)));
}

}  // namespace
}  // namespace hf::wire::eventbridge
