// A process behind two pipes: what a debugger's side says is read as meant, or refused.
#include "walk/remote_target.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

#include "host/error.h"

namespace tide::tests {
namespace {

constexpr uint64_t kStart = 0x700000000000;
constexpr uint64_t kBytes = 3 << 20;
constexpr uint64_t kHole = kStart + (1 << 20);  // a page that cannot be read
constexpr uint64_t kHoleEnd = kHole + 4096;

const std::string kMaps =
    "700000000000-700000300000 rw-p 00000000 00:00 0\n"
    "700000300000-700000301000 ---p 00000000 00:00 0\n"
    "700000301000-700000302000 r--p 00001000 08:01 42    /opt/a program\n";

std::string head(const std::string& lines) {
  return "tide-reader 2\nname process 42\n" + lines + "maps " + std::to_string(kMaps.size()) +
         "\n" + kMaps;
}

std::byte byte_at(uint64_t address) {
  return static_cast<std::byte>((address * 0x9e3779b97f4a7c15) >> 56);
}

// The script's side: a head, then an answer for each question.
class Script {
 public:
  using Answer = std::function<std::string(uint64_t address, uint64_t bytes)>;

  explicit Script(const std::string& head, Answer answer = bytes_of) {
    if (pipe(answers_.data()) != 0 || pipe(questions_.data()) != 0) abort();
    server_ = std::thread([this, head, answer = std::move(answer)] {
      send(head);
      std::array<uint64_t, 2> question;
      while (::read(questions_[0], question.data(), sizeof question) == ssize_t{sizeof question}) {
        ++asked;
        send(answer(question[0], question[1]));
      }
      close(answers_[1]);
    });
  }
  ~Script() {
    close(questions_[1]);
    server_.join();
    close(questions_[0]);
    close(answers_[0]);
  }

  // What is there from the address to the hole.
  static std::string bytes_of(uint64_t address, uint64_t bytes) {
    uint64_t there = bytes;
    if (address < kHole && address + bytes > kHole) there = kHole - address;
    if (address >= kHole && address < kHoleEnd) there = 0;
    std::string text(sizeof there, '\0');
    memcpy(text.data(), &there, sizeof there);
    for (uint64_t i = 0; i < there; ++i) text += static_cast<char>(byte_at(address + i));
    return text;
  }

  walk::RemoteTarget target() { return {answers_[0], questions_[1]}; }
  std::atomic<int> asked{0};

 private:
  void send(const std::string& text) {
    for (size_t sent = 0; sent < text.size();) {
      const ssize_t part = write(answers_[1], text.data() + sent, text.size() - sent);
      if (part <= 0) return;
      sent += static_cast<size_t>(part);
    }
  }

  std::array<int, 2> answers_{};
  std::array<int, 2> questions_{};
  std::thread server_;
};

void expect_bytes(const walk::Target& target, uint64_t address, size_t bytes) {
  std::vector<std::byte> got(bytes);
  ASSERT_TRUE(target.try_read(address, got.data(), bytes)) << std::hex << address;
  for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(got[i], byte_at(address + i)) << i;
}

TEST(RemoteTarget, ReadsItsHead) {
  std::string registers;
  for (int i = 0; i < 27; ++i) registers += "7f00000000" + std::to_string(10 + i) + " ";
  Script script(
      head("program /opt/a program\nthread 43 27 " + registers + "a name\nthread 44 0 \n"));
  const walk::RemoteTarget target = script.target();
  EXPECT_EQ(target.name(), "process 42");
  EXPECT_EQ(target.program(), "/opt/a program");
  ASSERT_EQ(target.threads().size(), 2u);
  EXPECT_EQ(target.threads()[0].id, 43);
  EXPECT_EQ(target.threads()[0].name, "a name");
  EXPECT_EQ(target.threads()[0].stack_pointer, 0x7f0000000029u);
  EXPECT_TRUE(target.threads()[1].registers.empty());
  ASSERT_EQ(target.segments().size(), 3u);
  EXPECT_EQ(target.segments()[2].file, "/opt/a program");
}

TEST(RemoteTarget, ReadsMemoryLargeAndSmall) {
  Script script(head(""));
  const walk::RemoteTarget target = script.target();
  expect_bytes(target, kStart, 16);
  expect_bytes(target, kStart + 100, 5000);
  expect_bytes(target, kStart + 65500, 100);
  EXPECT_EQ(script.asked, 2);  // chunks
  expect_bytes(target, kStart + 5, 1'000'000);
  expect_bytes(target, kHoleEnd, 1'900'000);
}

TEST(RemoteTarget, WhatIsNotThereIsSaidAndEndsNothingElse) {
  Script script(head(""));
  const walk::RemoteTarget target = script.target();
  walk::Buffer buffer;
  EXPECT_EQ(target.view(kHole - 100, 300, buffer).size(), 100u);
  EXPECT_TRUE(target.view(kHole, 300, buffer).empty());
  expect_bytes(target, kHoleEnd, 10);
  expect_bytes(target, kHoleEnd + 50000, 30000);
  EXPECT_TRUE(target.view(kStart + kBytes, 8, buffer).empty()) << "may not be read";
  EXPECT_TRUE(target.view(16, 8, buffer).empty()) << "nothing is mapped";
  EXPECT_EQ(target.view(kStart + kBytes - 10, 300, buffer).size(), 10u);
  uint64_t word;
  EXPECT_THROW(target.read({{kHole, &word, sizeof word}}), host::Error);
}

TEST(RemoteTarget, RefusesHeadsThatItDoesNotUnderstand) {
  for (const std::string& text :
       {std::string(), std::string("tide-reader 3\n"), std::string("tide-reader 2\nwhat 5\n"),
        std::string("tide-reader 2\nthread x\n"), std::string("tide-reader 2\nthread 1 99 1 2\n"),
        std::string("tide-reader 2\nmaps 99999999999999\n"), std::string("tide-reader 2\nmaps\n"),
        std::string(1 << 14, 'x')}) {
    Script script(text + "\n");
    EXPECT_THROW(script.target(), host::Error) << text.substr(0, 40);
  }
}

TEST(RemoteTarget, AnAnswerThatIsTooLongEndsIt) {
  Script script(head(""), [](uint64_t, uint64_t bytes) {
    ++bytes;
    std::string text(sizeof bytes, '\0');
    memcpy(text.data(), &bytes, sizeof bytes);
    return text;
  });
  const walk::RemoteTarget target = script.target();
  walk::Buffer buffer;
  EXPECT_THROW(target.view(kStart, 8, buffer), host::Error);
  EXPECT_THROW(target.view(kStart, 1 << 20, buffer), host::Error);
}

}  // namespace
}  // namespace tide::tests
