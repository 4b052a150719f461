// events.tide as it is written, read; and what a damaged one says, and still gives.
#include "trace/events_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "host/error.h"
#include "tests/unit/trace/record_maker.h"

namespace tide::trace {
namespace {

using testing::HasSubstr;

constexpr size_t kHead = sizeof(format::FileHead);

class EventsFileTest : public testing::Test {
 protected:
  void SetUp() override {
    format::FileHead head{};
    memcpy(head.magic, format::kTraceMagic, sizeof head.magic);
    head.version = format::kTraceVersion;
    head.head_bytes = kHead;
    append(&head, sizeof head);
    ChunkEncoder encoder;
    for (uint32_t i = 0; i < 3; ++i) {
      PacketMaker packet;
      for (uint64_t n = 0; n < 100 + i; ++n) packet.put(format::Call::kMalloc, n, n * 64, 40, 16);
      format::ChunkHead chunk{};
      std::vector<uint8_t> stored;
      const PacketView view = packet.view();
      encoder.encode({&view, 1}, stored, chunk);
      chunk.sequence = i;
      seal(chunk);
      offsets_.push_back(bytes_.size());
      append(&chunk, sizeof chunk);
      append(stored.data(), stored.size());
    }
  }
  void TearDown() override { std::filesystem::remove(path_); }

  void append(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }
  EventsFile open(EventsFile::Mode mode = EventsFile::Mode::kStrict) {
    std::ofstream(path_, std::ios::binary) << bytes_;
    return EventsFile(path_, mode);
  }
  // What opening and reading all of it says.
  std::string error() {
    try {
      const EventsFile file = open();
      std::vector<uint8_t> stored;
      for (const EventsFile::Chunk& chunk : file.chunks()) file.read(chunk, stored);
    } catch (const host::Error& e) {
      return e.what();
    }
    return {};
  }
  std::vector<uint32_t> salvaged() {
    const EventsFile file = open(EventsFile::Mode::kSalvage);
    std::vector<uint32_t> result;
    for (const EventsFile::Chunk& chunk : file.chunks()) result.push_back(chunk.head.sequence);
    return result;
  }

  std::string path_ = (std::filesystem::temp_directory_path() /
                       ("tide-events-" + std::to_string(getpid()) +
                        testing::UnitTest::GetInstance()->current_test_info()->name()))
                          .string();
  std::string bytes_;
  std::vector<size_t> offsets_;
};

TEST_F(EventsFileTest, ReadsItsChunks) {
  const EventsFile file = open();
  ASSERT_EQ(file.chunks().size(), 3u);
  ChunkDecoder decoder;
  std::vector<uint8_t> stored;
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(file.chunks()[i].offset, offsets_[i]);
    file.read(file.chunks()[i], stored);
    decoder.open(file.chunks()[i].head, stored);
    format::Record record;
    uint32_t records = 0;
    while (decoder.next(record)) ++records;
    EXPECT_EQ(records, 100 + i);
  }
}

TEST_F(EventsFileTest, NamesFileAndOffset) {
  EXPECT_EQ(error(), "");
  const std::string whole = bytes_;
  bytes_.resize(whole.size() - 1);
  EXPECT_THAT(error(), HasSubstr("'" + path_ + "' is damaged at offset " +
                                 std::to_string(offsets_[2]) + ": the chunk has "));
  bytes_.resize(offsets_[2] + 5);
  EXPECT_THAT(error(), HasSubstr("offset " + std::to_string(offsets_[2]) +
                                 ": the last 5 bytes are no chunk"));
  bytes_ = whole;
  bytes_[offsets_[1] + sizeof(format::ChunkHead) + 3] ^= 1;
  EXPECT_EQ(error(), "the checksum of the chunk's payload is wrong");
  bytes_ = whole;
  bytes_[offsets_[1] + 20] ^= 1;
  EXPECT_THAT(error(), HasSubstr("the checksum of the chunk's head is wrong"));
  bytes_ = whole;
  bytes_[0] = 'x';
  EXPECT_THAT(error(), HasSubstr("it is no events.tide of a trace"));
  bytes_ = whole;
  bytes_[8] = 9;
  EXPECT_THAT(error(), HasSubstr("is of version 9 of the format"));
  bytes_ = "";
  EXPECT_THAT(error(), HasSubstr("it has 0 bytes"));
  path_ = "/nowhere/events.tide";
  EXPECT_THAT(error(), HasSubstr("cannot open '/nowhere/events.tide'"));
}

TEST_F(EventsFileTest, SalvagesWhatIsIntact) {
  using testing::ElementsAre;
  const std::string whole = bytes_;
  EXPECT_THAT(salvaged(), ElementsAre(0, 1, 2));
  bytes_.resize(whole.size() - 1);
  EXPECT_THAT(salvaged(), ElementsAre(0, 1));
  bytes_ = whole;
  bytes_[offsets_[1]] ^= 1;
  EXPECT_THAT(salvaged(), ElementsAre(0, 2));
  const EventsFile file = open(EventsFile::Mode::kSalvage);
  ASSERT_EQ(file.faults().size(), 1u);
  EXPECT_EQ(file.faults()[0].offset, offsets_[1]);
  EXPECT_EQ(file.faults()[0].bytes, offsets_[2] - offsets_[1]);
}

// No byte makes it crash, and none of a chunk's is without its checksum.
TEST_F(EventsFileTest, NoticesEveryByte) {
  const std::string whole = bytes_;
  for (size_t i = kHead; i < whole.size(); ++i) {
    bytes_ = whole;
    bytes_[i] ^= 0x10;
    EXPECT_NE(error(), "") << "byte " << i;
    salvaged();
  }
}

}  // namespace
}  // namespace tide::trace
