#include "trace/anonymous.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "host/error.h"

namespace tide::trace {
namespace {

constexpr unsigned kPageShift = 12;
constexpr unsigned kAddressBits = 47;
// A page's number in two halves, 17 and 18 bits.
constexpr unsigned kLowBits = 17;
constexpr unsigned kHighBits = kAddressBits - kPageShift - kLowBits;

void sip_round(uint64_t (&v)[4]) {
  v[0] += v[1];
  v[1] = std::rotl(v[1], 13) ^ v[0];
  v[0] = std::rotl(v[0], 32);
  v[2] += v[3];
  v[3] = std::rotl(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = std::rotl(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = std::rotl(v[1], 17) ^ v[2];
  v[2] = std::rotl(v[2], 32);
}

}  // namespace

Disguise::Disguise() {
  if (getrandom(key_, sizeof key_, 0) != sizeof key_) {
    throw host::Error(fmt::format("no random numbers: {}", std::strerror(errno)));
  }
}

// SipHash-2-4 (Aumasson and Bernstein).
uint64_t Disguise::hash(std::string_view bytes) const {
  uint64_t v[4] = {key_[0] ^ 0x736f6d6570736575, key_[1] ^ 0x646f72616e646f6d,
                   key_[0] ^ 0x6c7967656e657261, key_[1] ^ 0x7465646279746573};
  const auto take = [&](uint64_t word) {
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
  };
  uint64_t last = uint64_t{bytes.size()} << 56;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    uint64_t word;
    memcpy(&word, bytes.data(), 8);
    take(word);
  }
  for (size_t i = 0; i < bytes.size(); ++i) {
    last |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  take(last);
  v[2] ^= 0xff;
  for (int i = 0; i < 4; ++i) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

// Feistel rounds: whatever the hash is, two addresses never become one.
uint64_t Disguise::address(uint64_t address) const {
  if (address == 0 || address >> kAddressBits != 0) return address;
  uint64_t low = address >> kPageShift & ((uint64_t{1} << kLowBits) - 1);
  uint64_t high = address >> (kPageShift + kLowBits);
  for (uint64_t round = 0; round < 4; ++round) {
    const auto mixed = [&](uint64_t half) {
      const uint64_t words[2] = {half, round};
      return hash({reinterpret_cast<const char*>(words), sizeof words});
    };
    high ^= mixed(low) & ((uint64_t{1} << kHighBits) - 1);
    low ^= mixed(high | uint64_t{1} << 63) & ((uint64_t{1} << kLowBits) - 1);
  }
  const uint64_t offset = address & ((uint64_t{1} << kPageShift) - 1);
  return (high << kLowBits | low) << kPageShift | offset;
}

std::string Disguise::text(std::string_view text) const {
  return text.empty() ? std::string() : fmt::format("x{:016x}", hash(text));
}

Anonymous::Anonymous(std::unique_ptr<EventSource> inner) : inner_(std::move(inner)) {}

const Event* Anonymous::next() {
  const Event* const event = inner_->next();
  if (event == nullptr) return nullptr;
  event_ = *event;
  event_.tid = static_cast<int32_t>(event->thread);
  event_.pointer = disguise_.address(event->pointer);
  event_.old_pointer = disguise_.address(event->old_pointer);
  if (!event->text.empty() && !is_note(*event, format::Note::kMemory)) {
    event_.text = text_ = disguise_.text(event->text);
  }
  // Numbers of threads and processes, addresses of modules and blocks.
  if (event->call == Call::kThread || event->call == Call::kProcess) event_.extras[1] = 0;
  if (is_note(*event, format::Note::kModule) || is_note(*event, format::Note::kLive) ||
      is_note(*event, format::Note::kTouched)) {
    event_.extras[1] = disguise_.address(event->extras[1]);
  }
  return &event_;
}

// The numbers stay, because what is different stays different.
const StackTable& Anonymous::stacks() const {
  const StackTable& from = inner_->stacks();
  for (auto i = static_cast<uint32_t>(stacks_.size()); i < from.size(); ++i) {
    const uint64_t frame = disguise_.address(from.frame(i));
    stacks_.add(from.caller(i), frame);
    if (const std::vector<Frame>* const known = inner_->symbols().frames(from.frame(i))) {
      std::vector<Frame> frames;
      for (const Frame& old : *known) {
        frames.push_back({disguise_.text(old.function), disguise_.text(old.file), old.line});
      }
      symbols_.add(frame, std::move(frames));
    } else {
      symbols_.add(
          frame, {{disguise_.text(inner_->symbols().names(from.frame(i), false).front()), "", 0}});
    }
  }
  return stacks_;
}

const SymbolTable& Anonymous::symbols() const {
  stacks();
  return symbols_;
}

const ProcessIdentity& Anonymous::process() const {
  process_ = inner_->process();
  process_.pid = process_.number;
  process_.parent = 0;
  process_.start_ns = 0;
  process_.program = disguise_.text(process_.program);
  return process_;
}

}  // namespace tide::trace
