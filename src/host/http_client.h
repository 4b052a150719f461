// Requests over HTTP and HTTPS, by libcurl. Certificates are checked against the system's, or
// against those in the file that SSL_CERT_FILE names.
//
// The library is loaded by the first client: it and what it needs would cost every other command
// several milliseconds.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tide::host {

struct HttpRequest {
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // posted
  long timeout_seconds = 60;
  size_t most_answer_bytes = size_t{1} << 20;
  bool uses_proxy = true;  // of the environment
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // as much of it as was asked for
};

// Whether a request says so that anybody on the way can read it: http, and not to this machine.
bool is_readable_on_the_way(const std::string& url);

// For a part of an address.
std::string url_escaped(std::string_view text);

class HttpClient {
 public:
  // Throws Error when there is no libcurl.
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Throws Error when there is no answer: not reachable, too slow, no valid certificate.
  // Redirections are not followed.
  HttpResponse post(const HttpRequest& request);
  // The same, but nothing where post() throws, and `fault` says why, without the address.
  std::optional<HttpResponse> try_post(const HttpRequest& request, std::string& fault);

 private:
  struct Library;
  std::unique_ptr<Library> library_;
};

}  // namespace tide::host
