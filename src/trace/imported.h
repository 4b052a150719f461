// Files of other tracers as a source of events.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "trace/event_source.h"
#include "trace/merge.h"
#include "trace/stack_table.h"
#include "trace/symbol_table.h"

namespace tide::trace {

// What a reader of such a file fills in beside its events.
struct ImportContext {
  StackTable stacks;
  SymbolTable symbols;
  ProcessIdentity process;
};

// A reader of such a file: all threads in one stream, in the order of the file.
class Importer : public ThreadStream {
 public:
  virtual double progress() const = 0;
};

class Imported : public EventSource {
 public:
  Imported(std::unique_ptr<ImportContext> context, std::unique_ptr<Importer> importer)
      : context_(std::move(context)), importer_(importer.get()) {
    merge_.add(std::move(importer));
  }

  const Event* next() override {
    const Event* const event = merge_.next();
    if (event == nullptr) importer_ = nullptr;
    return event;
  }
  const LiveTable& live() const override { return merge_.live(); }
  const StackTable& stacks() const override { return context_->stacks; }
  const SymbolTable& symbols() const override { return context_->symbols; }
  const ProcessIdentity& process() const override { return context_->process; }
  Oddities oddities() const override { return merge_.oddities(); }
  double progress() const override { return importer_ == nullptr ? 1 : importer_->progress(); }

 private:
  std::unique_ptr<ImportContext> context_;
  Importer* importer_;  // null at its end
  Merge merge_;
};

// The format of a file by its first bytes, of a folder by what is in it: "mtrace", "heaptrack",
// "ctf"; empty: none of them.
std::string_view import_format(const std::string& path);

// Throws host::Error for what is not of that format.
std::unique_ptr<EventSource> import_file(const std::string& path, std::string_view format);

// Each in a file of its own.
std::unique_ptr<Importer> import_mtrace(const std::string& path, ImportContext& context);
std::unique_ptr<Importer> import_heaptrack(const std::string& path, ImportContext& context);
std::unique_ptr<Importer> import_ctf(const std::string& path, ImportContext& context);

}  // namespace tide::trace
