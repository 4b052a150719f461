// What goes into a chunk comes out of it: of programs that behave and of records without sense; and
// whatever bytes a chunk has, it is read or refused.
#include "trace/chunk_codec.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "host/error.h"
#include "tests/unit/trace/record_maker.h"

namespace tide::trace {
namespace {

using format::Call;

struct Chunk {
  format::ChunkHead head{};
  std::vector<uint8_t> stored;
};

Chunk encode(const std::vector<PacketView>& packets) {
  static ChunkEncoder encoder;
  Chunk chunk;
  encoder.encode(packets, chunk.stored, chunk.head);
  return chunk;
}

std::vector<Kept> decode(const Chunk& chunk) {
  ChunkDecoder decoder;
  decoder.open(chunk.head, chunk.stored);
  std::vector<Kept> result;
  format::Record record;
  while (decoder.next(record)) result.emplace_back(record);
  return result;
}

void expect_same(const std::vector<PacketView>& packets) {
  std::vector<Kept> written;
  for (const PacketView& packet : packets) {
    for (const Kept& kept : records_of(packet)) written.push_back(kept);
  }
  const Chunk chunk = encode(packets);
  EXPECT_EQ(chunk.head.records, written.size());
  EXPECT_EQ(chunk.head.stored_bytes, chunk.stored.size());
  const std::vector<Kept> read = decode(chunk);
  ASSERT_EQ(read.size(), written.size());
  for (size_t i = 0; i < read.size(); ++i) {
    ASSERT_TRUE(read[i] == written[i])
        << "record " << i << ", a " << format::call_name(written[i].record.call);
  }
  if (!written.empty()) {
    EXPECT_EQ(chunk.head.last_tick, written.back().record.tick);
  }
}

// A program on an allocator that gives out what came back last.
void put_program(PacketMaker& packet, std::mt19937_64& random, size_t calls) {
  std::map<uint64_t, std::vector<uint64_t>> free_blocks;
  std::vector<std::pair<uint64_t, uint64_t>> live;  // pointer, size
  uint64_t fresh = 0x7f0000001000, tick = packet.view().first_tick;
  const auto usable_of = [](uint64_t size) { return (size + 8 + 15) / 16 * 16 + 8; };
  const auto take = [&](uint64_t size) {
    std::vector<uint64_t>& list = free_blocks[usable_of(size)];
    uint64_t pointer = fresh;
    if (list.empty()) {
      fresh += usable_of(size) + 8;
    } else {
      pointer = list.back();
      list.pop_back();
    }
    live.emplace_back(pointer, size);
    return pointer;
  };
  for (size_t i = 0; i < calls; ++i) {
    tick += random() % 40;
    const uint64_t size = random() % 8 == 0 ? random() % 5000 : random() % 20 * 8;
    if (live.empty() || random() % 2 == 0) {
      const uint64_t pointer = take(size);
      if (random() % 5 == 0) {
        packet.put(Call::kCalloc, tick, pointer, 8, usable_of(size) - 8);
        packet.varint(size / 8);
      } else {
        packet.put(Call::kMalloc, tick, pointer, size, usable_of(size) - size,
                   random() % 100 == 0 ? random() % 64 : 0);
      }
      continue;
    }
    const size_t victim = random() % 3 == 0 ? live.size() - 1 : random() % live.size();
    const auto [pointer, old_size] = live[victim];
    live[victim] = live.back();
    live.pop_back();
    if (random() % 10 == 0) {
      packet.put(Call::kRealloc, tick, pointer, size);
      const uint64_t moved = random() % 2 == 0 ? take(size) : pointer;
      if (moved == pointer) {
        live.emplace_back(pointer, size);
      } else {
        free_blocks[usable_of(old_size)].push_back(pointer);
      }
      packet.put(Call::kReallocDone, tick + 1, moved, 0, usable_of(size) - size);
      continue;
    }
    const size_t offset = packet.size();
    const bool is_sized = random() % 2 == 0;
    packet.put(Call::kDelete, tick, pointer, is_sized ? old_size : 0);
    if (is_sized) packet.mark_sized(offset);
    free_blocks[usable_of(old_size)].push_back(pointer);
  }
}

uint64_t any_number(std::mt19937_64& random) {
  const uint64_t value = random() >> (random() % 64);
  return random() % 8 == 0 ? value | (value - 1) : value;
}

// Records of all calls with numbers that no program would have.
void put_nonsense(PacketMaker& packet, std::mt19937_64& random, size_t records) {
  uint64_t tick = packet.view().first_tick;
  std::vector<uint64_t> pointers = {0};
  for (size_t i = 0; i < records; ++i) {
    const auto call = static_cast<Call>(1 + random() % (format::kCallCount - 2));
    tick += any_number(random) >> 20;
    uint64_t pointer = pointers[random() % pointers.size()];
    if (random() % 4 == 0) pointers.push_back(pointer = any_number(random));
    packet.put(call, tick, pointer, any_number(random), any_number(random) >> 33,
               random() % 3 == 0 ? any_number(random) : 0);
    const auto numbers = [&](int count) {
      for (int n = 0; n < count; ++n) packet.varint(any_number(random));
    };
    switch (call) {
      case Call::kCalloc:
      case Call::kReallocarray:
      case Call::kAlignedAlloc:
      case Call::kMemalign:
      case Call::kFreeAlignedSized:
      case Call::kMadvise:
      case Call::kFailed:
        numbers(1);
        break;
      case Call::kPosixMemalign:
      case Call::kMremap:
        numbers(2);
        break;
      case Call::kNewForm:
      case Call::kDeleteForm: {
        const uint64_t form = random() % 16;
        packet.varint(form);
        if ((form & format::kFormAligned) != 0) numbers(1);
        break;
      }
      case Call::kMmap:
        numbers(4);
        break;
      case Call::kThread:
      case Call::kProcess:
        numbers(2);
        packet.text("a name");
        break;
      case Call::kNote:
        numbers(3);
        packet.text(std::string(random() % 300, 'x'));
        break;
      case Call::kStack:
        packet.varint(3);
        numbers(3);
        break;
      default:
        break;
    }
  }
}

TEST(ChunkCodec, NothingIsAChunkToo) { expect_same({}); }

TEST(ChunkCodec, GivesBackWhatAProgramDid) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    PacketMaker first(seed * 1000), second(20'000'000);
    put_program(first, random, 20'000);
    put_program(second, random, 100);
    expect_same({first.view(), second.view()});
  }
}

TEST(ChunkCodec, GivesBackNonsense) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::mt19937_64 random(seed);
    PacketMaker packet(any_number(random));
    put_nonsense(packet, random, 3000);
    PacketMaker earlier(1);
    put_program(earlier, random, 1000);
    expect_same({packet.view(), earlier.view()});
  }
}

// More sizes than the model remembers.
TEST(ChunkCodec, GivesBackManySizes) {
  PacketMaker packet;
  for (uint64_t round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < 20'000; ++i) packet.put(Call::kMalloc, i, 0x10000 + i * 64, i, i % 7);
  }
  expect_same({packet.view()});
}

TEST(ChunkCodec, TakesThePartOfARecordThatIsWhole) {
  std::mt19937_64 random(1);
  PacketMaker packet;
  put_program(packet, random, 1000);
  const PacketView whole = packet.view();
  for (size_t bytes = 0; bytes < 300; ++bytes) {
    expect_same({{whole.first_tick, whole.records.first(bytes)}});
  }
}

// What a program does many times costs little: the figures of the day, and some more.
TEST(ChunkCodec, IsSmall) {
  std::mt19937_64 random(1);
  PacketMaker packet;
  put_program(packet, random, 150'000);
  const Chunk chunk = encode({packet.view()});
  EXPECT_LT(chunk.head.stored_bytes, 3.3 * chunk.head.records);
}

// Reads or refuses; nothing is said about what is read.
void expect_survives(const Chunk& chunk) {
  try {
    decode(chunk);
  } catch (const host::Error&) {
  }
}

TEST(ChunkCodec, SurvivesWhateverABytesSays) {
  std::mt19937_64 random(3);
  PacketMaker packet;
  put_program(packet, random, 300);
  put_nonsense(packet, random, 100);
  const Chunk chunk = encode({packet.view()});
  for (size_t i = 0; i < chunk.stored.size(); ++i) {
    for (const uint8_t flip : {0x01, 0x20, 0x80, 0xff}) {
      Chunk damaged = chunk;
      damaged.stored[i] ^= flip;
      expect_survives(damaged);
    }
    Chunk shorter = chunk;
    shorter.stored.resize(i);
    EXPECT_THROW(decode(shorter), host::Error);
  }
}

TEST(ChunkCodec, RefusesWhatItsHeadDoesNotMean) {
  std::mt19937_64 random(4);
  PacketMaker packet;
  put_program(packet, random, 300);
  const Chunk chunk = encode({packet.view()});
  Chunk more = chunk;
  ++more.head.records;
  EXPECT_THROW(decode(more), host::Error);
  Chunk fewer = chunk;
  --fewer.head.records;
  EXPECT_THROW(decode(fewer), host::Error);
  Chunk other = chunk;
  ++other.head.codec;
  EXPECT_THROW(decode(other), host::Error);
  Chunk large = chunk;
  large.head.plain_bytes = UINT32_MAX;
  EXPECT_THROW(decode(large), host::Error);
}

}  // namespace
}  // namespace tide::trace
