#include "report/svg.h"

#include <duktape.h>
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "host/error.h"
#include "host/output_file.h"
#include "report/assets.h"

namespace tide::report {
namespace {

// What the library wants of its surroundings: a place for what it exports, and timers that never
// fire, because nothing is animated.
constexpr std::string_view kSurroundings =
    "var module = { exports: {} }, exports = module.exports;"
    "function setTimeout() { return 0; } function clearTimeout() {}";
constexpr std::string_view kLibraryName = "var echarts = module.exports;";

class Engine {
 public:
  Engine() : context_(duk_create_heap_default(), duk_destroy_heap) {
    if (context_ == nullptr) throw host::Error("no memory to draw plots with");
  }

  void run(std::string_view script) {
    check(duk_peval_lstring(context_.get(), script.data(), script.size()));
    duk_pop(context_.get());
  }
  // tide.svg.NAME(argument), as a text.
  std::string ask(const char* name, std::string_view argument) {
    return call(name,
                [&](duk_context* c) { duk_push_lstring(c, argument.data(), argument.size()); });
  }
  std::string ask(const char* name, size_t argument) {
    return call(name,
                [&](duk_context* c) { duk_push_number(c, static_cast<duk_double_t>(argument)); });
  }

 private:
  template <class Push>
  std::string call(const char* name, Push push) {
    duk_context* const c = context_.get();
    check(duk_peval_string(c, fmt::format("tide.svg.{}", name).c_str()));
    push(c);
    check(duk_pcall(c, 1));
    duk_size_t bytes = 0;
    const char* const text = duk_safe_to_lstring(c, -1, &bytes);
    std::string result(text, bytes);
    duk_pop(c);
    return result;
  }
  void check(duk_int_t status) {
    if (status == 0) return;
    throw host::Error(
        fmt::format("a plot cannot be drawn: {}", duk_safe_to_stacktrace(context_.get(), -1)));
  }

  std::unique_ptr<duk_context, void (*)(duk_context*)> context_;
};

}  // namespace

size_t write_svgs(std::string_view data, const std::string& folder,
                  const std::function<void(double)>& progress) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw host::Error(fmt::format("'{}' cannot be made: {}", folder, error.message()));
  }
  Engine engine;
  engine.run(kSurroundings);
  engine.run(plot_library());
  engine.run(kLibraryName);
  engine.run(svg_scripts());
  const size_t count = std::stoul(engine.ask("list", data));
  for (size_t i = 0; i < count; ++i) {
    progress(static_cast<double>(i) / static_cast<double>(count));
    host::OutputFile file(
        (std::filesystem::path(folder) / (engine.ask("name", i) + ".svg")).string());
    file.write(engine.ask("draw", i));
    file.close();
  }
  return count;
}

}  // namespace tide::report
