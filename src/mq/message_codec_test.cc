#include "mq/message_codec.h"

namespace hf::mq {
namespace {

const WallTime kNow = wall_from_us(1'795'000'000'123'456);

TEST(MessageCodec, RoundTrip) {
  const Message message{.topic = "orders",
                        .body = std::string("a\0b", 3),
                        .tag = "confirmed",
                        .keys = {"order-17", "buyer 3"},
                        .properties = {{"channel", "sms"}, {"empty", ""}},
                        .delivery_time = kNow + 5s,
                        .message_id = "01ID"};
  pb::Message wire = encode(message, SendKind::plain, kNow, "shop");
  EXPECT_EQ(wire.system_properties().message_type(), pb::DELAY);
  EXPECT_EQ(wire.system_properties().body_encoding(), pb::IDENTITY);
  EXPECT_FALSE(wire.system_properties().has_message_group()) << "absent is not empty: presence is a type for others";
  wire.mutable_system_properties()->set_receipt_handle("h");
  wire.mutable_system_properties()->set_delivery_attempt(3);
  const ReceivedMessage back = decode(wire, "10.0.0.1:8081");
  EXPECT_EQ(back.message.topic, message.topic);
  EXPECT_EQ(back.message.body, message.body);
  EXPECT_EQ(back.message.tag, message.tag);
  EXPECT_EQ(back.message.keys, message.keys);
  EXPECT_EQ(back.message.properties, message.properties);
  EXPECT_EQ(back.message.delivery_time, message.delivery_time);
  EXPECT_EQ(back.message.message_id, "01ID");
  EXPECT_EQ(back.message.log_key(), "order-17");
  EXPECT_EQ(back.born_at, kNow);
  EXPECT_EQ(back.receipt_handle, "h");
  EXPECT_EQ(back.attempt, 3);
  EXPECT_EQ(back.endpoint, "10.0.0.1:8081");
}

TEST(MessageCodec, AnEmptyMessageIsReadToo) {
  const ReceivedMessage nothing = decode(pb::Message{}, "");
  EXPECT_EQ(nothing.attempt, 1);
  EXPECT_EQ(nothing.encoding, BodyEncoding::identity);
}

TEST(MessageCodec, OneKindAtATime) {
  struct Case {
    const char* what;
    Message message;
    SendKind kind;
    bool fine;
  };
  const Case kCases[] = {
      {"plain", {}, SendKind::plain, true},
      {"half", {}, SendKind::half, true},
      {"group", {.message_group = "g"}, SendKind::plain, true},
      {"delayed", {.delivery_time = kNow}, SendKind::plain, true},
      {"half in a group", {.message_group = "g"}, SendKind::half, false},
      {"delayed half", {.delivery_time = kNow}, SendKind::half, false},
      {"delayed in a group", {.message_group = "g", .delivery_time = kNow}, SendKind::plain, false},
  };
  for (const Case& c : kCases) EXPECT_EQ(check_kind(c.message, c.kind).has_value(), c.fine) << c.what;
  EXPECT_EQ(encode({.topic = "t"}, SendKind::half, kNow, "").system_properties().message_type(), pb::TRANSACTION);
  EXPECT_EQ(encode({.topic = "t", .message_group = "g"}, SendKind::plain, kNow, "").system_properties().message_type(),
            pb::FIFO);
}

}  // namespace
}  // namespace hf::mq
