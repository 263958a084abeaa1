#include "wire/rocketmq/rules.h"

#include <gtest/gtest.h>

#include "wire/rocketmq/times.h"

namespace hf::wire::rocketmq {
namespace {

constexpr int kAccepted = pb::OK;
int code_of(const Verdict& verdict) { return verdict ? verdict->code : kAccepted; }

struct Case {
  const char* what;
  std::string text;
  int want;
};

TEST(RocketmqRules, Topic) {
  const Case kCases[] = {
      {"plain", "orders", kAccepted},
      {"all kinds of characters", "a-Z_0%9|x", kAccepted},
      {"dead letters are an ordinary topic", "%DLQ%group", kAccepted},
      {"127 characters", std::string(127, 'a'), kAccepted},
      {"128 characters", std::string(128, 'a'), pb::ILLEGAL_TOPIC},
      {"empty", "", pb::ILLEGAL_TOPIC},
      {"blank", "  ", pb::ILLEGAL_TOPIC},
      {"space inside", "a b", pb::ILLEGAL_TOPIC},
      {"dot", "a.b", pb::ILLEGAL_TOPIC},
      {"umlaut", "ä", pb::ILLEGAL_TOPIC},
      {"system topic", "RMQ_SYS_TRANS_HALF_TOPIC", pb::ILLEGAL_TOPIC},
      {"system prefix", "rmq_sys_anything", pb::ILLEGAL_TOPIC},
      {"system topics by whole name only", "TBW102x", kAccepted},
  };
  for (const Case& c : kCases) EXPECT_EQ(code_of(check_topic(c.text)), c.want) << c.what;
}

TEST(RocketmqRules, Group) {
  const Case kCases[] = {
      {"plain", "router", kAccepted},
      {"120 characters", std::string(120, 'g'), kAccepted},
      {"121 characters", std::string(121, 'g'), pb::ILLEGAL_CONSUMER_GROUP},
      {"blank", "\t", pb::ILLEGAL_CONSUMER_GROUP},
      {"slash", "a/b", pb::ILLEGAL_CONSUMER_GROUP},
      {"system group", "CID_RMQ_SYS_TRANS", pb::ILLEGAL_CONSUMER_GROUP},
  };
  for (const Case& c : kCases) EXPECT_EQ(code_of(check_group(c.text)), c.want) << c.what;
}

TEST(RocketmqRules, TagKeyGroup) {
  const Case kTags[] = {
      {"none", "", kAccepted},
      {"plain", "order.confirmed", kAccepted},
      {"Chinese", "标签", kAccepted},
      {"emoji", "🚀", kAccepted},
      {"star is ordinary text", "*", kAccepted},
      {"inner spaces", "a b", kAccepted},
      {"blank", " \t", pb::ILLEGAL_MESSAGE_TAG},
      {"ideographic space only", "\u3000", pb::ILLEGAL_MESSAGE_TAG},
      {"bar", "a|b", pb::ILLEGAL_MESSAGE_TAG},
      {"newline", "a\nb", pb::ILLEGAL_MESSAGE_TAG},
      {"delete", "a\x7F", pb::ILLEGAL_MESSAGE_TAG},
      {"C1 control U+0085", "a\xC2\x85", pb::ILLEGAL_MESSAGE_TAG},
      {"U+00A0 is no control", "a\xC2\xA0", kAccepted},
      {"malformed UTF-8", "a\xFF", pb::ILLEGAL_MESSAGE_TAG},
      {"cut UTF-8", "a\xE6\xA0", pb::ILLEGAL_MESSAGE_TAG},
  };
  for (const Case& c : kTags) EXPECT_EQ(code_of(check_tag(c.text)), c.want) << c.what;
  EXPECT_EQ(code_of(check_key("a|b")), kAccepted) << "keys may contain a bar";
  EXPECT_EQ(code_of(check_key(" ")), pb::ILLEGAL_MESSAGE_KEY);
  EXPECT_EQ(code_of(check_key(std::string("a\0b", 3))), pb::ILLEGAL_MESSAGE_KEY);
  EXPECT_EQ(code_of(check_message_group(std::string(63, 'g'))), kAccepted);
  EXPECT_EQ(code_of(check_message_group(std::string(64, 'g'))), pb::ILLEGAL_MESSAGE_GROUP);
  EXPECT_EQ(code_of(check_message_group(" ")), pb::ILLEGAL_MESSAGE_GROUP);
  EXPECT_EQ(code_of(check_lite_topic("lite-1_x")), kAccepted);
  EXPECT_EQ(code_of(check_lite_topic("lite|1")), pb::ILLEGAL_LITE_TOPIC);
}

TEST(RocketmqRules, Property) {
  EXPECT_EQ(code_of(check_property("regionId", "hangzhou")), kAccepted);
  for (const char* key : {"UNIQ_KEY", "KEYS", "TAGS", "TIMER_DELIVER_MS", "__CRC32#", "1ST_POP_TIME", "__LITE_TOPIC"})
    EXPECT_EQ(code_of(check_property(key, "v")), pb::ILLEGAL_MESSAGE_PROPERTY_KEY) << key;
  EXPECT_EQ(code_of(check_property("uniq_key", "v")), kAccepted) << "reserved names are case-sensitive";
  EXPECT_EQ(code_of(check_property("k\x01", "v")), pb::ILLEGAL_MESSAGE_PROPERTY_KEY);
  EXPECT_EQ(code_of(check_property("k", "v\x1F")), pb::ILLEGAL_MESSAGE_PROPERTY_KEY);
}

TEST(RocketmqRules, Invisible) {
  EXPECT_EQ(code_of(check_receive_invisible(10s)), kAccepted);
  EXPECT_EQ(code_of(check_receive_invisible(12h)), kAccepted);
  EXPECT_THAT(check_receive_invisible(9999ms)->message, testing::HasSubstr("the invisibleTime is too small. min is"));
  EXPECT_THAT(check_receive_invisible(12h + 1ms)->message,
              testing::HasSubstr("the invisibleTime is too large. max is"));
  EXPECT_EQ(code_of(check_change_invisible(0s)), kAccepted);
  EXPECT_EQ(code_of(check_change_invisible(-1ns)), pb::ILLEGAL_INVISIBLE_TIME);
  EXPECT_EQ(code_of(check_change_invisible(12h + 1ns)), pb::ILLEGAL_INVISIBLE_TIME);
}

// One sound message, and what each damage to it is called.
TEST(RocketmqRules, Send) {
  const WallTime now = wall_from_us(1'795'000'000'000'000);
  struct Damage {
    const char* what;
    int want;
    std::function<void(pb::SendMessageRequest&)> apply;
  };
  auto system = [](pb::SendMessageRequest& r) { return r.mutable_messages(0)->mutable_system_properties(); };
  const Damage kDamages[] = {
      {"none", kAccepted, [](auto&) {}},
      {"no messages", pb::MESSAGE_CORRUPTED, [](auto& r) { r.clear_messages(); }},
      {"bad topic comes before bad body", pb::ILLEGAL_TOPIC,
       [](auto& r) {
         r.mutable_messages(0)->mutable_topic()->set_name("a b");
         r.mutable_messages(0)->clear_body();
       }},
      {"two topics", pb::MESSAGE_CORRUPTED,
       [](auto& r) {
         *r.add_messages() = r.messages(0);
         r.mutable_messages(1)->mutable_topic()->set_name("other");
       }},
      {"two namespaces", pb::MESSAGE_CORRUPTED,
       [](auto& r) {
         *r.add_messages() = r.messages(0);
         r.mutable_messages(1)->mutable_topic()->set_resource_namespace("n");
       }},
      {"second message is looked at", pb::MESSAGE_BODY_EMPTY,
       [](auto& r) {
         *r.add_messages() = r.messages(0);
         r.mutable_messages(1)->clear_body();
       }},
      {"4 MiB body", kAccepted, [](auto& r) { r.mutable_messages(0)->set_body(std::string(4 << 20, 'x')); }},
      {"4 MiB and a byte", pb::MESSAGE_BODY_TOO_LARGE,
       [](auto& r) { r.mutable_messages(0)->set_body(std::string((4 << 20) + 1, 'x')); }},
      {"empty body", pb::MESSAGE_BODY_EMPTY, [](auto& r) { r.mutable_messages(0)->clear_body(); }},
      {"128 properties", kAccepted,
       [](auto& r) {
         for (int i = 0; i < 128; ++i) (*r.mutable_messages(0)->mutable_user_properties())[std::to_string(i)] = "v";
       }},
      {"129 properties", pb::MESSAGE_PROPERTIES_TOO_LARGE,
       [](auto& r) {
         for (int i = 0; i < 129; ++i) (*r.mutable_messages(0)->mutable_user_properties())[std::to_string(i)] = "v";
       }},
      {"16384 bytes of properties", kAccepted,
       [](auto& r) { (*r.mutable_messages(0)->mutable_user_properties())["k"] = std::string(16383, 'v'); }},
      {"16385 bytes with the tag", pb::MESSAGE_PROPERTIES_TOO_LARGE,
       [&](auto& r) {
         (*r.mutable_messages(0)->mutable_user_properties())["k"] = std::string(16383, 'v');
         system(r)->set_tag("t");
       }},
      {"16385 bytes of keys", pb::MESSAGE_PROPERTIES_TOO_LARGE,
       [&](auto& r) { system(r)->add_keys(std::string(16385, 'k')); }},
      {"reserved property", pb::ILLEGAL_MESSAGE_PROPERTY_KEY,
       [](auto& r) { (*r.mutable_messages(0)->mutable_user_properties())["UNIQ_KEY"] = "v"; }},
      {"tag", pb::ILLEGAL_MESSAGE_TAG, [&](auto& r) { system(r)->set_tag("a|b"); }},
      {"key", pb::ILLEGAL_MESSAGE_KEY, [&](auto& r) { system(r)->add_keys("\n"); }},
      {"no id", pb::ILLEGAL_MESSAGE_ID, [&](auto& r) { system(r)->clear_message_id(); }},
      {"recovery of an hour", kAccepted,
       [&](auto& r) { system(r)->mutable_orphaned_transaction_recovery_duration()->set_seconds(3600); }},
      {"recovery longer than an hour", pb::BAD_REQUEST,
       [&](auto& r) { system(r)->mutable_orphaned_transaction_recovery_duration()->set_seconds(3601); }},
      {"recovery before now", pb::BAD_REQUEST,
       [&](auto& r) { system(r)->mutable_orphaned_transaction_recovery_duration()->set_seconds(-1); }},
      {"delivery in the past", kAccepted,
       [&](auto& r) { to_proto(now - 1h, *system(r)->mutable_delivery_timestamp()); }},
      {"delivery in a day", kAccepted, [&](auto& r) { to_proto(now + 24h, *system(r)->mutable_delivery_timestamp()); }},
      {"delivery in more than a day", pb::ILLEGAL_DELIVERY_TIME,
       [&](auto& r) { to_proto(now + 24h + 5s, *system(r)->mutable_delivery_timestamp()); }},
      {"delivery at the end of time", pb::ILLEGAL_DELIVERY_TIME,
       [&](auto& r) { system(r)->mutable_delivery_timestamp()->set_seconds(INT64_MAX); }},
      {"group", pb::ILLEGAL_MESSAGE_GROUP, [&](auto& r) { system(r)->set_message_group(std::string(64, 'g')); }},
      {"priority", pb::BAD_REQUEST, [&](auto& r) { system(r)->set_priority(-1); }},
      {"lite topic", pb::ILLEGAL_LITE_TOPIC, [&](auto& r) { system(r)->set_lite_topic(""); }},
  };
  for (const Damage& d : kDamages) {
    pb::SendMessageRequest request;
    pb::Message& message = *request.add_messages();
    message.mutable_topic()->set_name("orders");
    message.set_body("{}");
    message.mutable_system_properties()->set_message_id("01");
    d.apply(request);
    const Verdict verdict = check_send(request, MessageLimits{}, now);
    EXPECT_EQ(code_of(verdict), d.want) << d.what;
    if (verdict) EXPECT_FALSE(verdict->message.empty()) << d.what;
  }
}

TEST(RocketmqRules, TypeOf) {
  pb::SystemProperties p;
  EXPECT_EQ(type_of(p), pb::NORMAL);
  p.set_message_type(pb::DELAY);
  EXPECT_EQ(type_of(p), pb::NORMAL) << "only what is present counts";
  p.set_lite_topic("l");
  EXPECT_EQ(type_of(p), pb::LITE);
  p.set_priority(1);
  EXPECT_EQ(type_of(p), pb::PRIORITY);
  p.set_message_group("g");
  EXPECT_EQ(type_of(p), pb::FIFO);
  p.mutable_delivery_timestamp();
  EXPECT_EQ(type_of(p), pb::DELAY);
  p.set_message_type(pb::TRANSACTION);
  EXPECT_EQ(type_of(p), pb::TRANSACTION);
}

}  // namespace
}  // namespace hf::wire::rocketmq
