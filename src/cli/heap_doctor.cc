// `tide heap X doctor`: one page about a heap, and what to look at first.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/heap_contents.h"
#include "cli/heap_json.h"
#include "cli/heap_questions.h"
#include "host/byte_text.h"
#include "host/error.h"
#include "inspect/contents.h"
#include "inspect/survey.h"

namespace tide::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kSizesShown = 5;
constexpr size_t kClassesShown = 5;

struct Finding {
  std::string text;  // a sentence
  std::string next;  // the question that goes on from there; may be empty
};

struct Page {
  uint64_t live_blocks = 0;
  uint64_t live_bytes = 0;
  uint64_t cached_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t metadata_bytes = 0;
  uint64_t span_bytes = 0;  // of slabs and arenas, without what was given back or never touched
  uint64_t live_in_spans = 0;
  walk::Unknown unknown;
  std::vector<walk::SizeRow> sizes;                                  // most bytes first
  std::vector<std::pair<std::string, inspect::ClassTotal>> classes;  // likewise
  std::vector<walk::Problem> problems;
  std::vector<Finding> findings;
};

void add_heap(const walk::Heap& heap, Page& page) {
  const walk::HeapSummary summary = heap.summary();
  page.live_blocks += summary.live_blocks;
  page.live_bytes += summary.live_bytes;
  page.cached_bytes += summary.cached_bytes;
  page.free_bytes += summary.free_bytes;
  page.metadata_bytes += summary.metadata_bytes;
  page.sizes.insert(page.sizes.end(), summary.rows.begin(), summary.rows.end());
  page.unknown.add(summary.unknown);
  heap.for_each_span([&](const walk::Span& span) {
    if (span.is_free || (span.block_bytes == 0 && span.pages.empty())) return true;
    page.span_bytes += span.range.end - span.range.start - span.returned_bytes;
    page.live_in_spans += uint64_t{span.live_blocks} * span.block_bytes;
    for (const walk::PageFill& fill : span.pages) page.live_in_spans += fill.live_bytes;
    return true;
  });
  for (walk::Problem& problem : heap.check(3)) page.problems.push_back(std::move(problem));
}

void add_classes(const HeapSession& session, Page& page) {
  inspect::Contents contents(*session.target, session.heaps);
  inspect::SurveyOptions options;
  options.with_every_object = true;
  options.most_per_size = 1;
  options.most_scanned = 0;
  const inspect::Survey survey = inspect::survey(*session.target, session.heaps, contents, options);
  for (const auto& [key, total] : survey.objects) {
    page.classes.emplace_back(contents.vtables().name(key.first) + (key.second ? "[]" : ""), total);
  }
  std::stable_sort(page.classes.begin(), page.classes.end(),
                   [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
}

uint64_t per_cent(uint64_t part, uint64_t all) { return all == 0 ? 0 : 100 * part / all; }

void find_findings(const HeapSession& session, Page& page) {
  const auto find = [&](std::string text, std::string next) {
    page.findings.push_back({std::move(text), std::move(next)});
  };
  if (!page.problems.empty()) {
    find(fmt::format("The heap is damaged: at {:#x} {}.", page.problems[0].address,
                     page.problems[0].text),
         "check");
  }
  if (session.target->cut_bytes() != 0) {
    find(fmt::format("The core was cut off; {} are missing.",
                     host::byte_text(session.target->cut_bytes())),
         "");
  }
  if (!page.sizes.empty() && page.live_bytes != 0) {
    const walk::SizeRow& most = page.sizes[0];
    const uint64_t share = per_cent(most.live_bytes, page.live_bytes);
    if (share >= 20) {
      find(fmt::format("{} % of the live bytes are in {} block{} of {} bytes.", share,
                       grouped_text(most.live_blocks), most.live_blocks == 1 ? "" : "s",
                       grouped_text(most.bytes)),
           fmt::format("analyze {}", most.bytes));
    }
  }
  if (!page.classes.empty() && per_cent(page.classes[0].second.bytes, page.live_bytes) >= 10) {
    const auto& [name, total] = page.classes[0];
    find(fmt::format("{} % of the live bytes are {} objects of {}.",
                     per_cent(total.bytes, page.live_bytes), grouped_text(total.blocks), name),
         "types");
  }
  if (page.span_bytes > page.live_in_spans + page.live_in_spans / 4 &&
      page.span_bytes - page.live_in_spans > (uint64_t{16} << 20)) {
    find(
        fmt::format(
            "Slabs or arenas keep {} for {} of live blocks: fragmentation, or free memory that has "
            "not gone back yet.",
            host::byte_text(page.span_bytes), host::byte_text(page.live_in_spans)),
        "frag");
  }
  const uint64_t resident = page.live_bytes + page.cached_bytes + page.free_bytes;
  if (per_cent(page.cached_bytes, resident) >= 20) {
    find(fmt::format("{} are cached, {} % of what the heap may have resident.",
                     host::byte_text(page.cached_bytes), per_cent(page.cached_bytes, resident)),
         "threads");
  }
  if (per_cent(page.free_bytes, resident) >= 25) {
    find(fmt::format("{} are free and perhaps resident.", host::byte_text(page.free_bytes)),
         "frag");
  }
  find("What nothing leads to any more is lost.", "leaks");
  find("What would go if a block went, largest first.", "retained");
}

Page make_page(HeapSession& session) {
  Page page;
  for (const auto& heap : session.heaps) add_heap(*heap, page);
  std::stable_sort(page.sizes.begin(), page.sizes.end(),
                   [](const auto& a, const auto& b) { return a.live_bytes > b.live_bytes; });
  add_classes(session, page);
  find_findings(session, page);
  return page;
}

std::string page_text(const HeapSession& session, const Page& page) {
  std::string text = session.target->name();
  if (!session.target->program().empty()) text += fmt::format(", {}", session.target->program());
  text +=
      fmt::format(", {} thread{}; {}", session.target->threads().size(),
                  session.target->threads().size() == 1 ? "" : "s", session.heaps[0]->allocator());
  for (size_t i = 1; i < session.heaps.size(); ++i) {
    text += " and " + session.heaps[i]->allocator();
  }
  text += fmt::format("\n\n{} blocks, {} live; {} cached, {} free, {} records\n",
                      grouped_text(page.live_blocks), host::byte_text(page.live_bytes),
                      host::byte_text(page.cached_bytes), host::byte_text(page.free_bytes),
                      host::byte_text(page.metadata_bytes));
  text += "\nMost bytes by size:\n";
  for (size_t i = 0; i < std::min(kSizesShown, page.sizes.size()); ++i) {
    const walk::SizeRow& row = page.sizes[i];
    if (row.live_blocks == 0) break;
    text += fmt::format("  {:>12} bytes x {:>12} = {:>10}  {}\n", grouped_text(row.bytes),
                        grouped_text(row.live_blocks), host::byte_text(row.live_bytes),
                        percent_text(row.live_bytes, page.live_bytes));
  }
  if (!page.classes.empty()) text += "\nMost bytes by class:\n";
  for (size_t i = 0; i < std::min(kClassesShown, page.classes.size()); ++i) {
    const auto& [name, total] = page.classes[i];
    text += fmt::format("  {:>12} x {} = {}\n", grouped_text(total.blocks), name,
                        host::byte_text(total.bytes));
  }
  text += "\nWhat to look at first:\n";
  size_t number = 0;
  for (const Finding& finding : page.findings) {
    text += fmt::format("  {}. {}", ++number, finding.text);
    text += finding.next.empty() ? "\n" : fmt::format(" -> tide heap ... {}\n", finding.next);
  }
  return text;
}

Json page_json(const HeapSession& session, const Page& page) {
  Json json = {{"target", session.target->name()},
               {"live_blocks", page.live_blocks},
               {"live_bytes", page.live_bytes},
               {"cached_bytes", page.cached_bytes},
               {"free_dirty_bytes", page.free_bytes},
               {"metadata_bytes", page.metadata_bytes},
               {"is_sound", page.problems.empty()},
               {"sizes", Json::array()},
               {"types", Json::array()},
               {"findings", Json::array()}};
  for (size_t i = 0; i < std::min(kSizesShown, page.sizes.size()); ++i) {
    json["sizes"].push_back({{"size", page.sizes[i].bytes},
                             {"blocks", page.sizes[i].live_blocks},
                             {"bytes", page.sizes[i].live_bytes}});
  }
  for (size_t i = 0; i < std::min(kClassesShown, page.classes.size()); ++i) {
    json["types"].push_back({{"type", page.classes[i].first},
                             {"blocks", page.classes[i].second.blocks},
                             {"bytes", page.classes[i].second.bytes}});
  }
  for (const Finding& finding : page.findings) {
    json["findings"].push_back({{"text", finding.text}, {"next", finding.next}});
  }
  return json;
}

int run(HeapSession& session, const Arguments& arguments) {
  require_no_argument(kDoctorQuestion, arguments);
  const Page page = make_page(session);
  print(session.as_json ? json_line(page_json(session, page)) : page_text(session, page));
  warn_of_unknown(session, page.unknown);
  return host::kExitOk;
}

}  // namespace

const HeapQuestion kDoctorQuestion = {"doctor", "", "One page: what to look at first",
                                      "core.4711 doctor", run};

}  // namespace tide::cli
