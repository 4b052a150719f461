// What put_record() writes is what RecordReader reads, whatever the numbers; and no bytes make it
// read outside of the packet.
#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "format/record_reader.h"
#include "format/trace_record.h"

namespace tide::format {
namespace {

constexpr uint64_t kFirstTick = 1000;

class Packet {
 public:
  Packet() : bytes_(1 << 20), cursor_{bytes_.data(), kFirstTick, 0} {}
  RecordCursor& cursor() { return cursor_; }
  void varint(uint64_t value) { cursor_.at = put_varint(cursor_.at, value); }
  RecordReader reader() const {
    return {bytes_.data(), static_cast<size_t>(cursor_.at - bytes_.data()), kFirstTick};
  }

 private:
  std::vector<uint8_t> bytes_;
  RecordCursor cursor_;
};

// Numbers of all lengths, the edges more often than not.
uint64_t any_number(std::mt19937_64& random) {
  const uint64_t value = random() >> (random() % 64);
  return random() % 8 == 0 ? value | (value - 1) : value;
}

TEST(Record, ReadsWhatWasWritten) {
  constexpr uint64_t kSeed = 7;
  std::mt19937_64 random(kSeed);
  struct Written {
    Call call;
    uint64_t tick, pointer, size, slack, detail;
  };
  Packet packet;
  std::vector<Written> all;
  uint64_t tick = kFirstTick;
  for (int i = 0; i < 5000; ++i) {
    tick += any_number(random) >> 12;
    Written w{random() % 2 ? Call::kMalloc : Call::kFree,
              tick,
              any_number(random) & ~uint64_t{7},
              any_number(random),
              any_number(random) >> 33,
              any_number(random) >> 4};
    all.push_back(w);
    put_record(packet.cursor(), w.call, w.tick, w.pointer, w.size, w.slack, w.detail);
  }
  RecordReader reader = packet.reader();
  Record record;
  for (const Written& w : all) {
    ASSERT_TRUE(reader.next(record)) << "seed " << kSeed;
    EXPECT_EQ(record.call, w.call);
    EXPECT_EQ(record.tick, w.tick);
    EXPECT_EQ(record.pointer, w.pointer);
    EXPECT_EQ(record.size, w.size);
    EXPECT_EQ(record.usable, w.size + w.slack);
    EXPECT_EQ(record.stack, w.detail >> 3);
  }
  EXPECT_FALSE(reader.next(record));
  EXPECT_FALSE(reader.broken());
}

TEST(Record, LowBitsBelongToTheNextPointer) {
  Packet packet;
  put_record(packet.cursor(), Call::kLowBits, kFirstTick, 0, 0, 0, 0);
  packet.varint(5);
  put_record(packet.cursor(), Call::kFree, kFirstTick, 0x1005, 0, 0, 0);
  put_record(packet.cursor(), Call::kFree, kFirstTick, 0x1010, 0, 0, 0);
  RecordReader reader = packet.reader();
  Record record;
  ASSERT_TRUE(reader.next(record));
  EXPECT_EQ(record.pointer, 0x1005u);
  ASSERT_TRUE(reader.next(record));
  EXPECT_EQ(record.pointer, 0x1010u);
}

TEST(Record, AClockThatGoesBackStandsStill) {
  Packet packet;
  put_record(packet.cursor(), Call::kFree, kFirstTick + 10, 8, 0, 0, 0);
  put_record(packet.cursor(), Call::kFree, kFirstTick + 4, 8, 0, 0, 0);
  RecordReader reader = packet.reader();
  Record record;
  ASSERT_TRUE(reader.next(record));
  ASSERT_TRUE(reader.next(record));
  EXPECT_EQ(record.tick, kFirstTick + 10);
}

TEST(Record, FramesAreDifferences) {
  Packet packet;
  put_record(packet.cursor(), Call::kStack, kFirstTick, 0, 0, 0, 0);
  packet.varint(2);
  packet.varint(zigzag(0x5000));
  packet.varint(zigzag(uint64_t{0} - 0x10));
  RecordReader reader = packet.reader();
  Record record;
  ASSERT_TRUE(reader.next(record));
  std::string_view rest = record.frames;
  uint64_t frame = 0;
  ASSERT_TRUE(next_frame(rest, &frame));
  EXPECT_EQ(frame, 0x5000u);
  ASSERT_TRUE(next_frame(rest, &frame));
  EXPECT_EQ(frame, 0x4ff0u);
  EXPECT_FALSE(next_frame(rest, &frame));
}

// The bytes end where the vector ends, so the address sanitizer sees a read behind them.
TEST(Record, AnyBytesEndInsideOfThePacket) {
  constexpr uint64_t kSeed = 11;
  std::mt19937_64 random(kSeed);
  for (int run = 0; run < 20000; ++run) {
    std::vector<uint8_t> bytes(random() % 64);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    RecordReader reader(bytes.data(), bytes.size(), 0);
    Record record;
    size_t records = 0;
    while (reader.next(record)) ASSERT_LE(++records, bytes.size()) << "seed " << kSeed;
    ASSERT_LE(reader.offset(), bytes.size());
  }
}

}  // namespace
}  // namespace tide::format
