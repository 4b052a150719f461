#include "host/http_client.h"

#define CURL_DISABLE_TYPECHECK  // its macros know the functions by their own names only
#include <curl/curl.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "host/error.h"

#undef curl_easy_setopt
#undef curl_easy_getinfo

namespace tide::host {
namespace {

constexpr long kConnectSeconds = 10;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return result;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

struct Body {
  std::string& bytes;
  size_t most;
};

size_t take_body(char* data, size_t size, size_t count, void* to) {
  const auto& body = *static_cast<const Body*>(to);
  body.bytes.append(data, std::min(size * count, body.most - body.bytes.size()));
  return size * count;
}

size_t take_header(char* data, size_t size, size_t count, void* to) {
  const std::string_view line(data, size * count);
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    static_cast<HttpResponse*>(to)->headers[lower(line.substr(0, colon))] =
        trimmed(line.substr(colon + 1));
  }
  return size * count;
}

}  // namespace

struct HttpClient::Library {
  void* handle = nullptr;
  decltype(&::curl_easy_init) init = nullptr;
  decltype(&::curl_easy_setopt) set = nullptr;
  decltype(&::curl_easy_perform) perform = nullptr;
  decltype(&::curl_easy_getinfo) info = nullptr;
  decltype(&::curl_easy_reset) reset = nullptr;
  decltype(&::curl_easy_cleanup) cleanup = nullptr;
  decltype(&::curl_easy_strerror) error_text = nullptr;
  decltype(&::curl_slist_append) append = nullptr;
  decltype(&::curl_slist_free_all) free_list = nullptr;
  CURL* curl = nullptr;

  template <class Function>
  void find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
    if (function == nullptr) throw Error(fmt::format("libcurl has no {}", name));
  }
  ~Library() {
    if (curl != nullptr) cleanup(curl);
  }
};

bool is_readable_on_the_way(const std::string& url) {
  constexpr std::string_view kPlain = "http://";
  if (!url.starts_with(kPlain)) return false;
  const std::string_view host = std::string_view(url).substr(kPlain.size());
  for (const std::string_view own : {"127.", "localhost", "[::1]"}) {
    if (host.starts_with(own)) return false;
  }
  return true;
}

HttpClient::HttpClient() : library_(std::make_unique<Library>()) {
  Library& curl = *library_;
  curl.handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (curl.handle == nullptr) {
    throw Error("cannot load libcurl.so.4, which sends requests; install the package libcurl4");
  }
  curl.find(curl.init, "curl_easy_init");
  curl.find(curl.set, "curl_easy_setopt");
  curl.find(curl.perform, "curl_easy_perform");
  curl.find(curl.info, "curl_easy_getinfo");
  curl.find(curl.reset, "curl_easy_reset");
  curl.find(curl.cleanup, "curl_easy_cleanup");
  curl.find(curl.error_text, "curl_easy_strerror");
  curl.find(curl.append, "curl_slist_append");
  curl.find(curl.free_list, "curl_slist_free_all");
  curl.curl = curl.init();
  if (curl.curl == nullptr) throw Error("libcurl cannot be started");
}

HttpClient::~HttpClient() = default;

std::string url_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    out += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

HttpResponse HttpClient::post(const HttpRequest& request) {
  std::string fault;
  auto response = try_post(request, fault);
  if (!response) throw Error(fmt::format("{}: {}", request.url, fault));
  return *std::move(response);
}

std::optional<HttpResponse> HttpClient::try_post(const HttpRequest& request, std::string& fault) {
  Library& curl = *library_;
  curl.reset(curl.curl);  // keeps its connections
  HttpResponse response;
  const Body answer{response.body, request.most_answer_bytes};
  char error[CURL_ERROR_SIZE] = "";
  curl_slist* headers = nullptr;
  for (const auto& [name, value] : request.headers) {
    headers = curl.append(headers, fmt::format("{}: {}", name, value).c_str());
  }
  headers = curl.append(headers, "Expect:");  // a round trip for nothing
  const std::unique_ptr<curl_slist, decltype(curl.free_list)> owner(headers, curl.free_list);
  curl.set(curl.curl, CURLOPT_URL, request.url.c_str());
  curl.set(curl.curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl.set(curl.curl, CURLOPT_HTTPHEADER, headers);
  curl.set(curl.curl, CURLOPT_POST, 1L);
  curl.set(curl.curl, CURLOPT_POSTFIELDS, request.body.data());
  curl.set(curl.curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  curl.set(curl.curl, CURLOPT_WRITEFUNCTION, take_body);
  curl.set(curl.curl, CURLOPT_WRITEDATA, &answer);
  curl.set(curl.curl, CURLOPT_HEADERFUNCTION, take_header);
  curl.set(curl.curl, CURLOPT_HEADERDATA, &response);
  curl.set(curl.curl, CURLOPT_ERRORBUFFER, error);
  curl.set(curl.curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl.set(curl.curl, CURLOPT_TIMEOUT, request.timeout_seconds);
  curl.set(curl.curl, CURLOPT_NOSIGNAL, 1L);
  curl.set(curl.curl, CURLOPT_USERAGENT, "tide");
  // As the command curl and OpenSSL's programs have it; the library alone does not look.
  if (const char* const file = std::getenv("SSL_CERT_FILE"); file != nullptr && *file != '\0') {
    curl.set(curl.curl, CURLOPT_CAINFO, file);
  }
  if (!request.uses_proxy) curl.set(curl.curl, CURLOPT_PROXY, "");
  const CURLcode code = curl.perform(curl.curl);
  if (code != CURLE_OK) {
    fault = error[0] != '\0' ? error : curl.error_text(code);
    return std::nullopt;
  }
  long status = 0;
  curl.info(curl.curl, CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  return response;
}

}  // namespace tide::host
