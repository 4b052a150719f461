#include "fleet/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include "fleet/store.h"

namespace tide::fleet {
namespace {

constexpr long kConnectSeconds = 5;

size_t append_body(char* data, size_t size, size_t count, void* to) {
  static_cast<std::string*>(to)->append(data, size * count);
  return size * count;
}

}  // namespace

struct HttpClient::Handle {
  CURL* easy;
};

HttpClient::HttpClient() {
  static const CURLcode is_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* const easy = is_ready == CURLE_OK ? curl_easy_init() : nullptr;
  if (easy == nullptr) throw host::Error("libcurl can't be used");
  handle_ = std::make_unique<Handle>(Handle{easy});
}

HttpClient::~HttpClient() { curl_easy_cleanup(handle_->easy); }

HttpReply HttpClient::post(const std::string& url, const std::vector<std::string>& headers,
                           std::string_view body, long timeout_seconds) {
  CURL* const easy = handle_->easy;
  curl_easy_reset(easy);  // keeps its connections
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const std::string& header : headers) list = curl_slist_append(list, header.c_str());
  HttpReply reply;
  char error[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &reply.body);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT, timeout_seconds);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  // A proxy of the environment is for the world outside, and would see the password.
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  const CURLcode code = curl_easy_perform(easy);
  curl_slist_free_all(list);
  if (code != CURLE_OK) {
    throw Unavailable(error[0] != '\0' ? std::string(error) : curl_easy_strerror(code));
  }
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
  return reply;
}

std::string url_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    out += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

}  // namespace tide::fleet
