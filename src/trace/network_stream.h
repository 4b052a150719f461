// A trace on its way to another machine: a connection that carries frames.
//
// The sender says hello (HelloHead, token, name), the other side answers (ReplyHead, text), then
// come frames (FrameHead, file name, data) and last one of kFinish, which is answered too. All
// numbers low byte first. Nothing is encrypted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "host/file_descriptor.h"

namespace tide::trace {

inline constexpr char kNetworkMagic[8] = {'t', 'i', 'd', 'e', 'n', 'e', 't', '1'};
inline constexpr uint32_t kNetworkVersion = 1;

struct HelloHead {
  char magic[8];
  uint32_t version;
  uint32_t token_bytes;
  uint32_t name_bytes;  // of the folder that the sender would like
  uint32_t reserved;
};
static_assert(sizeof(HelloHead) == 24);

struct ReplyHead {
  uint32_t is_refused;
  uint32_t text_bytes;  // where the trace is, or why not
};
static_assert(sizeof(ReplyHead) == 8);

enum class FrameKind : uint32_t {
  kPut = 0,     // the file's whole content
  kAppend = 1,  // more of it
  kClose = 2,   // nothing more comes for it
  kFinish = 3,  // the trace is whole
};

struct FrameHead {
  FrameKind kind;
  uint32_t name_bytes;
  uint64_t data_bytes;
};
static_assert(sizeof(FrameHead) == 16);

inline constexpr size_t kMostToken = 4096;
inline constexpr size_t kMostName = 512;
inline constexpr uint64_t kMostFrame = uint64_t{1} << 30;

// Whole messages over a socket. Errors are host::Error.
class NetworkStream {
 public:
  // `other` is how messages call the other side.
  NetworkStream(int socket, std::string other) : socket_(socket), other_(std::move(other)) {}

  const std::string& other() const { return other_; }

  void send(const void* data, size_t bytes);
  template <typename T>
  void send_structure(const T& structure) {
    static_assert(std::is_trivially_copyable_v<T>);
    send(&structure, sizeof structure);
  }
  void send(std::string_view text) { send(text.data(), text.size()); }

  void receive(void* data, size_t bytes);
  template <typename T>
  void receive_structure(T& structure) {
    static_assert(std::is_trivially_copyable_v<T>);
    receive(&structure, sizeof structure);
  }
  std::string receive_text(size_t bytes);

  // After the last word: lets the other side read it before the connection is gone.
  void hang_up();

  // What isn't here by then is lost, however much of it has come. None: waits for ever.
  void set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline) {
    deadline_ = deadline;
  }

 private:
  [[noreturn]] void fail(const char* what);

  host::FileDescriptor socket_;
  std::string other_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
};

// The token of $TIDE_TRACE_TOKEN or the file's first line; `file` may be empty. Empty: there is
// none. Throws host::Error for a file that can't be read or has none in it.
std::string read_token(const std::string& file);

// Takes as long whatever is different.
bool is_same_token(std::string_view a, std::string_view b);

}  // namespace tide::trace
