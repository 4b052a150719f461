// Requests to a server that speaks HTTP or HTTPS.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tide::fleet {

struct HttpReply {
  long status = 0;
  std::string body;
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // POST. Throws Unavailable (store.h) when no whole reply comes.
  HttpReply post(const std::string& url, const std::vector<std::string>& headers,
                 std::string_view body, long timeout_seconds);

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

// For a part of an address.
std::string url_escaped(std::string_view text);

}  // namespace tide::fleet
