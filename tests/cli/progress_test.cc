// The line that says how far a job is.
#include "host/progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace tide::tests {
namespace {

using host::Progress;
using Unit = Progress::Unit;

class ProgressTest : public testing::Test {
 protected:
  Progress make(const host::Terminal& terminal) {
    return {terminal, [this] { return now_; }, [this](std::string_view text) { drawn_ = text; }};
  }

  uint64_t now_ = 5000;
  std::string drawn_;  // last
  const host::Terminal terminal_ = host::Terminal::for_test(60);
};

TEST_F(ProgressTest, SaysNothingOfWhatTakesLessThanASecond) {
  Progress progress = make(terminal_);
  progress.begin("reading", Unit::kBytes, 100);
  now_ += 999;
  progress.add(Unit::kBytes, 50);
  progress.begin("more");
  progress.finish();
  EXPECT_EQ(drawn_, "");
}

TEST_F(ProgressTest, DrawsAShareOfWhatHasATotalAndACountOfWhatHasNone) {
  Progress progress = make(terminal_);
  progress.begin("reading", Unit::kBytes, 200);
  now_ += 1000;
  progress.add(Unit::kBlocks, 77);
  EXPECT_EQ(drawn_, "") << "not what is counted";
  progress.add(Unit::kBytes, 50);
  EXPECT_EQ(drawn_, "\rreading [######..................] 25 %\x1b[K");
  now_ += 99;
  progress.add(Unit::kBytes, 50);
  EXPECT_NE(drawn_.find("25 %"), std::string::npos) << "not again at once";
  now_ += 1;
  progress.add(Unit::kBytes, 500);
  EXPECT_NE(drawn_.find("] 100 %"), std::string::npos) << "never more than all";
  progress.begin("following references");
  EXPECT_EQ(drawn_, "\rfollowing references\x1b[K");
  progress.begin("list", Unit::kBlocks);
  now_ += 100;
  progress.add(Unit::kBlocks, 12'340'000);
  EXPECT_EQ(drawn_, "\rlist: 12.3 million blocks\x1b[K");
  progress.finish();
  EXPECT_EQ(drawn_, "\r\x1b[K");
  drawn_.clear();
  now_ += 1000;
  progress.add(Unit::kBlocks, 1);
  EXPECT_EQ(drawn_, "") << "over";
}

TEST_F(ProgressTest, FitsTheTerminal) {
  Progress progress = make(host::Terminal::for_test(12));
  now_ += 1000;
  progress.begin("a part with a long name");
  EXPECT_EQ(drawn_, "\ra part with\x1b[K");
}

TEST_F(ProgressTest, IsOffWhereThereIsNoTerminal) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    Progress progress = make(host::Terminal(ends[1]));
    EXPECT_FALSE(progress.is_on());
    now_ += 5000;
    progress.begin("reading", Unit::kBytes, 10);
    progress.add(Unit::kBytes, 5);
  }
  EXPECT_EQ(drawn_, "");
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace tide::tests
