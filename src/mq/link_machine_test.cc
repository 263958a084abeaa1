#include "mq/link_machine.h"

namespace hf::mq {
namespace {

using Action = LinkMachine::Action;
using State = LinkMachine::State;

class LinkMachineTest : public testing::Test {
 protected:
  Action next() { return machine_.next(now_); }
  void become_ready() {
    ASSERT_EQ(next(), Action::open);
    ASSERT_EQ(next(), Action::send_settings);
    machine_.settings_answered(now_);
    ASSERT_EQ(next(), Action::none);
    ASSERT_TRUE(machine_.settled(machine_.wanted()));
  }
  Monotonic now_{1h};
  LinkMachine machine_{{.answer = 6s, .first_heartbeat = 1s, .heartbeat = 10s, .settings_refresh = 5min},
                       Monotonic{1h}};
};

TEST_F(LinkMachineTest, SettingsGoFirstHeartbeatsFollowTheAnswer) {
  EXPECT_EQ(next(), Action::open);
  EXPECT_EQ(next(), Action::send_settings);
  EXPECT_EQ(next(), Action::none);
  EXPECT_FALSE(machine_.settled(1));
  now_ += 3s;
  EXPECT_EQ(next(), Action::none) << "no heartbeat before the answer";
  machine_.settings_answered(now_);
  EXPECT_TRUE(machine_.settled(1));
  EXPECT_EQ(machine_.wake_at(), now_ + 1s);
  now_ += 1s;
  EXPECT_EQ(next(), Action::heartbeat);
  EXPECT_EQ(next(), Action::none);
  now_ += 9999ms;
  EXPECT_EQ(next(), Action::none);
  now_ += 1ms;
  EXPECT_EQ(next(), Action::heartbeat);
}

TEST_F(LinkMachineTest, UnansweredSettingsEndTheStream) {
  EXPECT_EQ(next(), Action::open);
  EXPECT_EQ(next(), Action::send_settings);
  now_ = machine_.wake_at();
  EXPECT_EQ(next(), Action::abandon);
  EXPECT_EQ(next(), Action::none) << "once";
  EXPECT_EQ(machine_.state(), State::ending);
  machine_.settings_answered(now_);
  EXPECT_EQ(machine_.state(), State::ending) << "too late";
  machine_.ended(now_, 1500ms);
  EXPECT_EQ(next(), Action::none);
  EXPECT_EQ(machine_.wake_at(), now_ + 1500ms);
  now_ += 1500ms;
  EXPECT_EQ(next(), Action::open);
  EXPECT_EQ(next(), Action::send_settings) << "a new stream starts with Settings";
}

TEST_F(LinkMachineTest, ChangedSettingsGoOutAtOnceAndAreWaitedFor) {
  become_ready();
  machine_.settings_changed();
  EXPECT_FALSE(machine_.settled(machine_.wanted()));
  EXPECT_EQ(next(), Action::send_settings);
  machine_.settings_changed();
  EXPECT_EQ(next(), Action::send_settings);
  machine_.settings_answered(now_);
  EXPECT_TRUE(machine_.settled(2));
  EXPECT_FALSE(machine_.settled(3)) << "answers come in order";
  machine_.settings_answered(now_);
  EXPECT_TRUE(machine_.settled(3));
  now_ += 6s;
  EXPECT_NE(next(), Action::abandon);
}

TEST_F(LinkMachineTest, EveryUnansweredChangeHasItsTime) {
  become_ready();
  machine_.settings_changed();
  EXPECT_EQ(next(), Action::send_settings);
  now_ += 6s;
  EXPECT_EQ(next(), Action::abandon);
}

TEST_F(LinkMachineTest, AForgottenClientIntroducesItselfAgain) {
  become_ready();
  machine_.settings_lost();
  EXPECT_EQ(next(), Action::send_settings);
  machine_.settings_answered(now_);
  machine_.ended(now_, 1s);
  machine_.settings_lost();
  EXPECT_EQ(machine_.state(), State::waiting) << "a late heartbeat's answer starts nothing";
}

TEST_F(LinkMachineTest, SettingsAreRefreshed) {
  become_ready();
  int sent = 0;
  for (const Monotonic end = now_ + 11min; now_ < end; now_ = std::min(end, machine_.wake_at())) {
    while (true) {
      const Action action = next();
      if (action == Action::none) break;
      if (action == Action::send_settings) ++sent, machine_.settings_answered(now_);
    }
  }
  EXPECT_EQ(sent, 2);
}

TEST_F(LinkMachineTest, AStrayAnswerChangesNothing) {
  machine_.settings_answered(now_);
  EXPECT_EQ(machine_.state(), State::waiting);
  become_ready();
  machine_.settings_answered(now_);
  EXPECT_TRUE(machine_.settled(1));
  EXPECT_FALSE(machine_.settled(2));
}

}  // namespace
}  // namespace hf::mq
